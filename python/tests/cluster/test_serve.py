"""Serving on a cluster: the lists of one index, whatever dies, whatever is published meanwhile."""

import gzip
import json
import os
import random
import signal
import threading
import time
import urllib.error
import urllib.request

import pytest
import ray
from conftest import dataset

import splindex
import splindex.ray
from splindex import _engine

PORT = 18437
ALGORITHMS = ["auto", "windowed", "wand", "block_max_wand", "maxscore", "block_max_maxscore", "block_pruned",
              "exhaustive"]  # fmt: skip


def made(seed, documents=900, tokens=40):
    """Vectors of few different weights: most scores are those of many documents."""
    rng = random.Random(seed)
    print(f"seed {seed}")
    return [
        (f"d{(number * 7919) % documents:04}",
         {f"t{token}": rng.choice([1.0, 2.0, 2.0]) for token in rng.sample(range(tokens), 6)})
        for number in range(documents)
    ]  # fmt: skip


def published(place, collection, folder, parts, **options):
    """A release in parts of unequal sizes, and the one index."""
    whole = splindex.build(collection, scale=2.0, progress=False, skip_data=True, **options)
    cuts = sorted(random.Random(5).sample(range(1, len(collection)), parts - 1))
    files = []
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(collection)])):
        files.append(folder / f"{place.name}-{number}.spx")
        splindex.build(collection[start:end], files[-1], scale=2.0, progress=False, skip_data=True,
                       **options).close()  # fmt: skip
    told = _engine.publish(files, str(place), None, "current", None, "", False)
    return whole, told["release"]


def same(answer, hits):
    assert answer.ids == hits.ids.tolist()
    assert answer.scores.tolist() == hits.scores.tolist()
    assert answer.ordinals.tolist() == hits.ordinals.tolist()
    assert (answer.float_scores == hits.float_scores).all()
    assert answer.missing == []


def get(path, body=None, **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture(scope="module")
def place(cluster, passages, one, tmp_path_factory):
    """A hybrid collection of the passages, in three parts."""
    folder = tmp_path_factory.mktemp("served")
    stores = splindex.ray.encode(dataset(passages), one.model, folder / "v", rows=64, progress=False)
    splindex.ray.build(stores, folder / "parts", texts=dataset(passages), parts=3, merge=False,
                       memory="300MiB", publish=str(folder / "releases"), query_model=one.model,
                       skip_data=True, progress=False)  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def search(place):
    search = splindex.ray.serve(str(place / "releases"), replicas=2, cpus=0.1, cache=str(place / "cache"),
                                port=PORT, deadline=20, max_k=400)  # fmt: skip
    yield search
    search.close()


def test_lists_are_those_of_one_index(search, passages, one):
    whole = splindex.build_hybrid(one.store, passages, skip_data=True, progress=False)
    whole = whole.with_queries(query_model=one.model)
    texts = [text[:90] for _, text in passages[::30]]
    for algorithm in ALGORITHMS:
        for k in (1, 3, 10, 400):
            answers = search.batch([(str(at), text) for at, text in enumerate(texts)], k, algorithm)
            for text, answer in zip(texts, answers):
                same(answer, whole.search(text, k, algorithm))
    parts = splindex.Parts({"coffee": 1.3, "water": 0.4, "nonsense": 2.0}, "French presses")
    same(search(parts, 50), whole.search(parts, 50))
    with pytest.raises(splindex.UsageError, match="the index is hybrid and the query has one part"):
        search({"coffee": 1.0})
    with pytest.raises(splindex.Error, match="`max_k` of this service"):
        search("coffee", 401)


def test_ties_stand_in_the_order_of_the_input(cluster, tmp_path):
    vectors = made(1)
    whole, _ = published(tmp_path / "r", vectors, tmp_path, 4)
    search = splindex.ray.serve(str(tmp_path / "r"), name="ties", replicas=1, cpus=0.1, partitions=2,
                                cache=str(tmp_path / "cache"), port=PORT, route_prefix="/ties",
                                deadline=20)  # fmt: skip
    try:
        assert search.status()["parts"] == 4
        rng = random.Random(2)
        for _ in range(20):
            query = {f"t{token}": rng.choice([1, 1, 2]) for token in rng.sample(range(44), 3)}
            for k in (1, 2, 7, 100, 900):
                same(search(query, k, rng.choice(ALGORITHMS)), whole.search(query, k))
        # What one index refuses, so does the root.
        with pytest.raises(splindex.UsageError, match="found 70000") as refused:
            whole.search({"t1": 70_000})
        with pytest.raises(splindex.UsageError) as error:
            search({"t1": 70_000})
        assert str(error.value) == str(refused.value)
    finally:
        search.close()


def test_routes_are_those_of_a_node(search, passages, one):
    whole = splindex.build_hybrid(one.store, passages, progress=False).with_queries(query_model=one.model)
    status, body = get("/search?q=burnt%20coffee&k=3")
    told = json.loads(body)
    expected = whole.search("burnt coffee", 3)
    assert status == 200 and told["qid"] == "q" and told["release"] == search.status()["release"]
    assert [(hit["rank"], hit["docid"], hit["score"]) for hit in told["hits"]] == [
        (rank, name, score) for rank, (name, score) in enumerate(expected, 1)
    ]
    lines = b'{"id": "a", "text": "tides and moons", "k": 2}\n{"id": "b", "text": "coffee", "algorithm": "wand"}\n'
    for body, headers in [(lines, {}), (gzip.compress(lines), {"Content-Encoding": "gzip"})]:
        status, answer = get("/search?k=5", body, **headers)
        first, second = map(json.loads, answer.splitlines())
        assert (status, first["qid"], len(first["hits"]), len(second["hits"])) == (200, "a", 2, 5)
        assert [hit["docid"] for hit in second["hits"]] == whole.search("coffee", 5).ids.tolist()
    assert get("/health") == (200, '{"ok": true}')
    ready = json.loads(get("/ready")[1])
    assert ready["ready"] and ready["documents"] == 300 and ready["parts"] == 3
    assert json.loads(get("/reload", b"")[1])["outcome"] == "unchanged"
    for path, body, status, problem in [
        ("/search", None, 400, "expected a query"),
        ("/search?q=x&k=many", None, 400, "a number as k"),
        ("/search?q=x&k=401", None, 400, "max_k"),
        ("/search?q=x&algorithm=best", None, 400, "best"),
        ("/search?q=x&fields=2", None, 400, "fields"),
        ("/search", b"{", 400, "request"),
        ("/elsewhere", None, 404, "/elsewhere"),
        ("/reload", None, 405, "POST"),
    ]:
        found, answer = get(path, body)
        assert found == status and problem in json.loads(answer)["error"], (path, answer)
    metrics = get("/metrics")[1]
    assert 'splindex_requests_total{route="/search",status="200"} 3' in metrics


def asking(search, query, seconds, k=20):
    """A thread that asks all the time; its answers and its errors."""
    answers, errors, stop = [], [], threading.Event()

    def ask():
        while not stop.is_set():
            try:
                answers.append(search(query, k))
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()

    def end():
        time.sleep(seconds)
        stop.set()
        for thread in threads:
            thread.join()
        return answers, errors

    return end


def replicas(search, group):
    """Processes of the replicas of a partition."""
    found = {}
    for _ in range(200):
        pid, held = search._call("processes", group)
        found[pid] = held
        if len(found) == 2:
            break
    return found


def test_a_replica_that_dies_costs_no_request(search, at):
    expected = search("tides and moons", 20).ids
    end = asking(search, "tides and moons", 2)
    os.kill(next(iter(replicas(search, 1))), signal.SIGKILL)
    # And one in the middle of an answer.
    at.kill("serve-search-2")
    answers, errors = end()
    assert errors == [] and len(answers) > 20 and at.pending() == []
    assert all(answer.ids == expected for answer in answers)


def test_a_partition_that_is_late_is_an_error_or_said(search, at):
    whole = search("tides and moons", 300)
    at.sleep("serve-search-1", 3)
    with pytest.raises(splindex.ray.PartitionError, match="found none of 1") as error:
        search("tides and moons", 300, deadline=0.5)
    assert error.value.missing == [1]
    time.sleep(3)
    at.sleep("serve-search-1", 3)
    answer = search("tides and moons", 300, deadline=0.5, allow_partial=True)
    assert answer.missing == [1]
    rest = [name for name, at in zip(whole.ids, whole.ordinals) if not 100 <= at < 200]
    assert answer.ids == rest
    time.sleep(3)
    assert search("tides and moons", 300).missing == []


def test_no_answer_mixes_two_releases(cluster, at, tmp_path):
    old, first = published(tmp_path / "r", made(3), tmp_path, 3)
    search = splindex.ray.serve(str(tmp_path / "r"), name="roll", replicas=2, roots=2, cpus=0.1,
                                cache=str(tmp_path / "cache"), port=PORT, route_prefix="/roll",
                                deadline=20)  # fmt: skip
    try:
        query = {"t1": 1.0, "t2": 2.0, "t3": 1.0}
        new, second = published(tmp_path / "r", made(4, documents=700), tmp_path, 2)
        lists = {first: old.search(query, 20).ids.tolist(), second: new.search(query, 20).ids.tolist()}
        assert search(query).release == first
        end = asking(search, query, 1)
        assert search.reload() == second
        # Every root has it now.
        assert {search(query).release for _ in range(20)} == {second}
        _engine.run_program("splindex", ["splindex", "rollback", str(tmp_path / "r"), "--quiet"])
        assert json.loads(get("/roll/reload", b"")[1])["outcome"] == "swapped"
        assert {search(query).release for _ in range(20)} == {first}
        answers, errors = end()
        assert errors == []
        assert {answer.release for answer in answers} == {first, second}
        assert all(answer.ids == lists[answer.release] for answer in answers)
        # A release that cannot be had moves nobody.
        _, name = published(tmp_path / "r", made(6, documents=500), tmp_path, 2)
        manifest = json.loads((tmp_path / "r" / "releases" / f"{name}.json").read_text())
        (tmp_path / "r" / manifest["parts"][1]["path"]).unlink()
        with pytest.raises(splindex.Error, match="refuses the release"):
            search.reload()
        assert search(query, 20).ids == lists[first]
    finally:
        search.close()


def test_what_is_refused(cluster, tmp_path):
    with pytest.raises(splindex.DataError, match="nothing was published"):
        splindex.ray.serve(str(tmp_path / "nothing"))
    (tmp_path / "r").mkdir()
    published(tmp_path / "r", made(7, documents=30), tmp_path, 2)
    with pytest.raises(splindex.SettingError, match="`replicas`"):
        splindex.ray.serve(str(tmp_path / "r"), replicas=0)
    with pytest.raises(splindex.SettingError, match="`deadline`"):
        splindex.ray.serve(str(tmp_path / "r"), deadline=0)
    assert ray.is_initialized()
