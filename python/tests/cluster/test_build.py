"""Building on a cluster: the content id of one build."""

import signal

import pytest
from conftest import dataset, driver

import splindex
import splindex.ray

MEMORY = "300MiB"


@pytest.fixture(scope="module")
def stores(cluster, passages, one, tmp_path_factory):
    output = tmp_path_factory.mktemp("stores") / "v"
    return splindex.ray.encode(dataset(passages), one.model, output, rows=64, progress=False)


def built(stores, output, **options):
    return splindex.ray.build(stores, output, memory=MEMORY, progress=False, **options)


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_merged_parts_are_one_build(parts, cluster, stores, passages, one, tmp_path):
    learned = built(stores, tmp_path / "learned", parts=parts)
    assert learned.content_id == one.learned.content_id
    bm25 = built(None, tmp_path / "bm25", texts=dataset(passages), rows=50, parts=parts)
    assert bm25.content_id == one.bm25.content_id
    hybrid = built(stores, tmp_path / "hybrid", texts=dataset(passages), rows=50, parts=parts)
    assert hybrid.content_id == one.hybrid.content_id
    with splindex.Index.open(hybrid.paths()[0]) as index:
        assert index.content_id == hybrid.content_id


def test_all_documents_are_ordered_together(cluster, stores, one, tmp_path):
    assert built(stores, tmp_path, parts=3, order="bp").content_id == one.ordered.content_id


def test_parts_are_those_of_shards(cluster, stores, tmp_path):
    apart = built(stores.output, tmp_path / "parts", parts=3, merge=False, order="bp", skip_data=True)
    assert apart.content_id is None and len(apart.paths()) == 3
    for number, path in enumerate(apart.paths()):
        with splindex.Index.open(path) as index:
            shard = index.statistics["shard"]
            assert (shard["index"], shard["count"], shard["doc_base"]) == (number, 3, 100 * number)
            index.verify(deep=True)


@pytest.mark.parametrize("point", ["build-begin-1", "build-named-2", "merge-begin"])
def test_a_task_that_dies_is_done_again(point, cluster, at, stores, one, tmp_path):
    at.kill(point)
    assert built(stores, tmp_path, parts=3).content_id == one.learned.content_id
    assert at.pending() == []
    begun = [name for name in at.log() if name.startswith("build-begin")]
    assert len(begun) == (4 if point == "build-begin-1" else 3)


def test_after_the_driver_died_what_was_built_stays(cluster, at, stores, one, tmp_path):
    at.kill("driver-built-1")
    at.sleep("build-begin-1", 60)
    code = f"splindex.ray.build({stores.output!r}, {str(tmp_path)!r}, parts=2, memory={MEMORY!r})"
    status, errors = driver(code)
    assert status == -signal.SIGKILL, errors
    assert len(list(tmp_path.glob("part-*.spx"))) == 1
    again = built(stores, tmp_path, parts=2)
    assert (again.content_id, again.built, again.found) == (one.learned.content_id, 1, 1)
    assert sum(name == "build-begin-0" for name in at.log()) == 1


def test_what_is_refused(cluster, stores, passages, tmp_path):
    with pytest.raises(splindex.DataError, match="expected the 300 documents of .*, found 299"):
        built(stores, tmp_path, texts=dataset(passages[1:]))
    swapped = [*passages[:100], passages[101], passages[100], *passages[102:]]
    with pytest.raises(splindex.DataError, match="p101|p102"):
        built(stores, tmp_path, texts=dataset(swapped), parts=2)
    with pytest.raises(splindex.SettingError, match="`parts` must be 1 to the number of documents, 300"):
        built(stores, tmp_path, parts=301)
    with pytest.raises(splindex.SettingError, match="`memory`"):
        splindex.ray.build(stores, tmp_path, memory="much", progress=False)
    with pytest.raises(splindex.DataError, match="row 3: document 'p004': expected a str"):
        built(None, tmp_path, texts=dataset([*passages[:3], ("p004", None), *passages[4:]]))
    with pytest.raises(splindex.SettingError, match="expected `stores`, `texts` or both"):
        built(None, tmp_path)
