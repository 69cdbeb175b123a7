"""Attributes, filters and boosts: what Python has becomes what files have."""

import datetime
import json

import numpy as np
import pytest

import splindex

DOCUMENTS = [(f"d{d}", {"whale": float(10 - d)}) for d in range(6)]
ABOUT = {
    f"d{d}": {
        "lang": "en" if d % 2 == 0 else "de",
        "tags": ["all", f"t{d}"],
        "year": 2018 + d,
        "weight": d / 2,
        "ok": d > 3,
        "at": datetime.datetime(2024, 5, d + 1),
        "none": None,
    }
    for d in range(6)
}


@pytest.fixture(scope="module")
def index():
    return splindex.build(DOCUMENTS, attributes=ABOUT, progress=False)


def test_attributes_are_the_same_by_every_way(index, tmp_path):
    def line(name):
        values = {k: v for k, v in ABOUT[name].items() if k != "at"}
        return json.dumps({"id": name, **values, "at": f"{ABOUT[name]['at'].isoformat()}Z"})

    (tmp_path / "about.jsonl").write_text("\n".join(map(line, ABOUT)))
    ways = [
        tmp_path / "about.jsonl",
        list(ABOUT.items()),
        {name: {k: np.int64(v) if k == "year" else v for k, v in a.items()} for name, a in ABOUT.items()},
    ]
    for way in ways:
        same = splindex.build(DOCUMENTS, attributes=way, progress=False)
        assert same.content_id == index.content_id
    assert index.statistics["attributes"] == 6
    documents = [json.dumps({"id": name, "vector": v, "year": ABOUT[name]["year"]}) for name, v in DOCUMENTS]
    (tmp_path / "docs.jsonl").write_text("\n".join(documents))
    fields = splindex.build(tmp_path / "docs.jsonl", attribute_fields=["year"], progress=False)
    assert fields.search({"whale": 1.0}, filter="year >= 2022").ids.tolist() == ["d4", "d5"]


def test_filters_are_texts_or_trees(index):
    def found(filter, **more):
        return index.search({"whale": 1.0}, filter=filter, **more).ids.tolist()

    assert found("lang = 'en'") == found({"=": ["lang", "en"]}) == ["d0", "d2", "d4"]
    assert found({"and": [{"has": "ok"}, {"not": {"in": ["year", [2018, 2019]]}}]}) == ["d2", "d3", "d4", "d5"]
    assert found("at > '2024-05-04' or tags = 't1'") == ["d1", "d4", "d5"]
    assert found("ok = true", boost="100: year = 2023") == ["d5", "d4"]
    assert found(None, boost=["1 * year", [100, "lang = 'de'"]], k=3) == ["d1", "d3", "d5"]
    assert len(index.search({"whale": 1.0}, min_score=8)) == 3


def test_batches_are_filtered_as_searches_are(index, tmp_path):
    queries = {"a": {"whale": 1.0}, "b": {"whale": 2.0}}
    batch = index.search_batch(queries, filter="lang = 'de'")
    assert batch.ids.tolist() == ["d1", "d3", "d5"] * 2
    prepared = index.prepare(queries)
    assert index.search_batch(prepared, filter="lang = 'de'").ids.tolist() == batch.ids.tolist()
    assert len(index.search_batch(prepared).ids) == 12
    path = tmp_path / "q.jsonl"
    path.write_text('{"id": "a", "vector": {"whale": 1}, "filter": "year = 2019"}\n')
    assert index.search_batch(path).ids.tolist() == ["d1"]


def test_errors_say_what_there_is(index):
    for filter, expected in [
        ("lnag = 1", "there is no key \"lnag\"; the index has at (times)"),
        ("year = 'x'", "expected a number"),
        ("year", "at character 5"),
        ({"=": ["year"]}, "expected a list of a key and a value"),
    ]:
        with pytest.raises(splindex.UsageError, match="filter") as error:
            index.search({"whale": 1.0}, filter=filter)
        assert expected in str(error.value)
    for attributes, expected in [
        ({"d0": {"x": object()}}, "key \"x\": expected str"),
        ({"d0": 1}, "record 1 of `attributes`"),
        ([("d0", {"x": 1}), ("d1", {"x": "y"})], "expected an integer"),
        ({"gone": {"x": 1}}, "found none of them"),
    ]:
        with pytest.raises(splindex.Error, match="attributes") as error:
            splindex.build(DOCUMENTS, attributes=attributes, progress=False)
        assert expected in str(error.value)
