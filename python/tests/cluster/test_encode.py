"""Encoding on a cluster: the bytes of one machine, whatever dies meanwhile."""

import json
import signal
import sys

import pytest
import ray
from conftest import dataset, driver

import splindex
import splindex.ray

ROWS = 64


def encoded(ds, one, output, **options):
    return splindex.ray.encode(ds, one.model, output, rows=ROWS, progress=False, **options)


def begun(at):
    return [point for point in at.log() if point.startswith("encode-begin")]


def same_bytes(stores, passages, one, folder):
    """Each store is what one machine writes of the same texts."""
    paths = stores.paths()
    assert len(paths) == -(-len(passages) // ROWS)
    for number, path in enumerate(paths):
        alone = folder / f"alone-{number}"
        start = number * ROWS
        one.encoder.encode_to_store(passages[start : start + ROWS], alone, progress=False,
                                    shard=(number, len(paths), start))  # fmt: skip
        names = sorted(file.name for file in alone.iterdir())
        assert names == sorted(file.name for file in path.iterdir())
        for name in names:
            assert (alone / name).read_bytes() == (path / name).read_bytes(), name


def test_shards_are_those_of_one_machine(cluster, at, passages, one, tmp_path):
    heard = []
    progress = lambda *step: heard.append(step)  # noqa: E731
    stores = splindex.ray.encode(dataset(passages), one.model, tmp_path / "v", rows=ROWS, progress=progress)
    assert (stores.documents, stores.encoded, stores.found) == (len(passages), 5, 0)
    assert heard[-1] == ("encode", 300, 300)
    same_bytes(stores, passages, one, tmp_path)
    index = splindex.build(stores.paths(), progress=False)
    assert index.content_id == one.learned.content_id
    # Again, there is nothing to do.
    again = encoded(dataset(passages), one, tmp_path / "v")
    assert (again.stores, again.encoded, again.found) == (stores.stores, 0, 5)
    assert splindex.ray.Encoded.read(tmp_path / "v").stores == stores.stores
    assert len(begun(at)) == 5


@pytest.mark.parametrize("point, begins", [("encode-begin-2", 6), ("encode-written-1", 6), ("encode-named-3", 5)])
def test_an_actor_that_dies_costs_a_block(point, begins, cluster, at, passages, one, tmp_path):
    at.kill(point)
    stores = encoded(dataset(passages), one, tmp_path / "v")
    assert at.pending() == []
    # A shard that was named is not made again.
    assert len(begun(at)) == begins
    same_bytes(stores, passages, one, tmp_path)
    assert not list((tmp_path / "v").glob(".shard-*"))


def test_after_the_driver_died_nothing_is_done_twice(cluster, at, passages, one, tmp_path):
    at.kill("driver-finished-2")
    code = f"splindex.ray.encode(dataset(passages), {str(one.model)!r}, {str(tmp_path / 'v')!r}, rows={ROWS})"
    status, errors = driver(code)
    assert status == -signal.SIGKILL, errors
    there = {path.name for path in (tmp_path / "v").glob("shard-*")}
    assert len(there) >= 2 and not (tmp_path / "v" / "collection.json").exists()
    with pytest.raises(splindex.DataError, match="collection.json"):
        splindex.ray.Encoded.read(tmp_path / "v")
    before = begun(at)
    stores = encoded(dataset(passages), one, tmp_path / "v")
    named = {point.removeprefix("encode-begin-") for point in begun(at)[len(before) :]}
    assert stores.found >= 2 and stores.encoded == len(named)
    assert not named & {str(int(name.split("-")[1])) for name in there}
    same_bytes(stores, passages, one, tmp_path)


def test_bad_rows_are_named_or_left_out(cluster, passages, one, tmp_path):
    bad = list(passages)
    bad[70], bad[200] = ("p071", None), (None, "text")
    with pytest.raises(splindex.DataError, match="row 70: document 'p071': expected a str as 'text'") as e:
        encoded(dataset(bad), one, tmp_path / "v")
    assert e.value.record == 71
    stores = encoded(dataset(bad), one, tmp_path / "w", on_bad="skip")
    assert (stores.documents, stores.skipped) == (298, 2)
    good = [row for at, row in enumerate(passages) if at not in (70, 200)]
    one.encoder.encode_to_store(good, tmp_path / "good", progress=False)
    ours = splindex.build(stores.paths(), progress=False)
    assert ours.content_id == splindex.build(tmp_path / "good", progress=False).content_id


def test_what_is_refused(cluster, passages, one, tmp_path):
    ds = dataset(passages[:100])
    stores = encoded(ds, one, tmp_path / "v")
    with pytest.raises(splindex.DataError, match="begun with `top` None, found 5"):
        encoded(ds, one, tmp_path / "v", top=5)
    with pytest.raises(splindex.DataError, match="expected a column 'body', found id, more, text"):
        encoded(ds, one, tmp_path / "w", text_column="body")
    with pytest.raises(splindex.SettingError, match="on_bad"):
        encoded(ds, one, tmp_path / "w", on_bad="ignore")
    with pytest.raises(splindex.DataError, match="no-model"):
        splindex.ray.encode(ds, "no-model", tmp_path / "x", progress=False)
    # A node with other instructions.
    path = stores.paths()[1] / "manifest.json"
    told = json.loads(path.read_text())
    told["plan"]["encoding"]["simd"] = "another"
    path.write_text(json.dumps(told))
    with pytest.raises(splindex.DataError, match="one instruction set on all nodes, found another and"):
        encoded(ds, one, tmp_path / "v")
    assert "another" in encoded(ds, one, tmp_path / "v", mixed=True).simd


def test_unchanged_texts_keep_their_vectors(cluster, passages, one, tmp_path):
    changed = [(name, text + " and more" if at % 50 == 0 else text) for at, (name, text) in enumerate(passages)]
    kept = encoded(dataset(changed), one, tmp_path / "v", reuse=[one.store])
    full = encoded(dataset(changed), one, tmp_path / "w")
    assert kept.stores == full.stores
    for ours, theirs in zip(kept.paths(), full.paths()):
        assert (ours / "part-00000.vec").read_bytes() == (theirs / "part-00000.vec").read_bytes()


class Letters:
    """An encoder of the user's own."""

    vocabulary = [chr(ord("a") + letter) for letter in range(26)]

    def __init__(self, model):
        assert model == "letters"

    def encode_documents(self, texts):
        from scipy.sparse import csr_matrix

        return csr_matrix([[text.count(letter) for letter in self.vocabulary] for text in texts])


def test_an_encoder_of_the_users_own(cluster, passages, tmp_path):
    pytest.importorskip("scipy")
    # The workers cannot import this file.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    stores = splindex.ray.encode(dataset(passages), "letters", tmp_path / "v", rows=ROWS, encoder=Letters,
                                 progress=False)  # fmt: skip
    vectors = Letters("letters").encode_documents([text for _, text in passages])
    whole = splindex.build(vectors, ids=[name for name, _ in passages], vocabulary=Letters.vocabulary,
                           progress=False)  # fmt: skip
    assert splindex.build(stores.paths(), progress=False).content_id == whole.content_id
