"""Misuse: one clear error, of the right kind, and nothing left behind."""

import pickle

import numpy as np
import pytest

import splindex


def build(vectors, **kwargs):
    return splindex.build(vectors, progress=False, **kwargs)


def arrays(indptr=(0, 2, 4), indices=(0, 1, 0, 2), data=(2.0, 0.5, 1.2, 1.9)):
    return np.array(indptr), np.array(indices), np.array(data)


IDS, TOKENS = ["d1", "d2"], ["whale", "sea", "ship"]


@pytest.mark.parametrize(
    ("vectors", "says"),
    [
        ([("a", {"x": -1.0})], "record 1: token \"x\": expected a weight of 0 or more, found -1"),
        ([("a", {"x": float("nan")})], "found NaN"),
        ([("a", {"x": float("inf")})], "found inf"),
        ([("a", {"x": 1e300})], "found inf"),
        ([("a", {"x": 1.0}), ("a", {"x": 1.0})], "document id \"a\" is used by records 1 and 2"),
        ([("a", {"x": 1.0}), ("b", ["x"])], "record 2: document \"b\": expected {token: weight}"),
        ([("a", {"x": "heavy"})], "expected a number as weight of token \"x\", found str"),
        ([("a", {1: 1.0})], "expected a str as token, found int"),
        ([("a", {"x": 1.0}, 3)], "record 1: expected (id, {token: weight}), found a tuple of 3"),
        ([{"x": 1.0}], "expected (id, {token: weight}), found dict"),
        ([(None, {"x": 1.0})], "expected a str as id, found NoneType"),
        ([], "the collection is empty"),
        ([("a", {"\ud800": 1.0})], "expected a str as token"),
    ],
)
def test_documents_that_are_none(vectors, says):
    with pytest.raises(splindex.Error) as error:
        build(vectors)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("vectors", "ids", "says"),
    [
        (arrays(data=(2.0, -0.5, 1.2, 1.9)), IDS, "record 1: token \"sea\": expected a weight"),
        (arrays(data=(2.0, np.nan, 1.2, 1.9)), IDS, "found NaN"),
        (arrays(indices=(0, 0, 0, 2)), IDS, "token \"whale\" is repeated"),
        (arrays(indices=(0, 1, 0, 3)), IDS, "expected columns below 3"),
        (arrays(indices=(0, 1, 0, -1)), IDS, "expected columns below 3"),
        (arrays(indptr=(0, 3, 2)), IDS, "indptr: offset 2 must be from 3 to 4"),
        (arrays(indptr=(1, 2, 4)), IDS, "indptr: offset 0 must be from 0 to 0"),
        (arrays(indptr=(0, 2, 9)), IDS, "indptr: offset 2 must be from 2 to 4"),
        (arrays(indptr=(0, -2, 4)), IDS, "indptr: offset 1"),
        (arrays(data=(2.0, 0.5, 1.2)), IDS, "expected as many indices as data, found 4 and 3"),
        (arrays(), ["d1"], "`ids` must be 2 ids, one a row, found 1"),
        (arrays(), ["d1", "d1"], "document id \"d1\" is used by records 1 and 2"),
        (arrays(), ["d1", None], "expected str (or whole numbers) as ids, found NoneType"),
        (arrays(indices=(0.0, 1.0, 0.0, 2.0)), IDS, "indices: expected one dimension of integers, found an array of float64"),
        (arrays(data=("a", "b", "c", "d")), IDS, "data: expected one dimension of numbers, found an array of <U1"),
        (arrays(data=np.array([2.0, None, 1.2, "x"], dtype=object)), IDS, "found an array of objects"),
        (arrays(data=np.array([1j, 2, 3, 4])), IDS, "found an array of complex128"),
        (arrays(data=np.ones((2, 2))), IDS, "found 2 dimensions of float64"),
        (np.ones((2, 3)), IDS, "expected a sparse matrix, found 2 dimensions of float64"),
    ],
)  # fmt: skip
def test_arrays_that_are_no_matrix(vectors, ids, says):
    with pytest.raises(splindex.Error) as error:
        build(vectors, ids=ids, vocabulary=TOKENS)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("kwargs", "setting"),
    [
        ({"bits": 9}, "bits"),
        ({"bits": -1}, "bits"),
        ({"codec": "tiny"}, "codec"),
        ({"order": "random"}, "order"),
        ({"order": [0.5, 1.5]}, "order"),
        ({"scale": "big"}, "scale"),
        ({"scale": -1.0}, "scale"),
        ({"scale": float("nan")}, "scale"),
        ({"memory": "lots"}, "memory"),
        ({"threads": 0}, "threads"),
        ({"threads": 100_000}, "threads"),
        ({"top_per_doc": 0}, "top_per_doc"),
        ({"min_impact": 300}, "min_impact"),
    ],
)
def test_settings_are_named_by_their_keyword(kwargs, setting):
    with pytest.raises(splindex.SettingError) as error:
        build([("a", {"x": 1.0}), ("b", {"x": 2.0})], **kwargs)
    assert error.value.setting == setting and f"`{setting}`" in str(error.value)


def test_other_settings_that_no_build_has():
    with pytest.raises(splindex.Error, match="no permutation"):
        build([("a", {"x": 1.0}), ("b", {"x": 2.0})], order=[0, 0])
    with pytest.raises(splindex.Error, match="`memory` 1MiB is too small|`memory`"):
        build([("a", {"x": 1.0})], memory="1MiB")
    with pytest.raises(splindex.Error, match="`vocabulary` must have a token a column, 3, found 2"):
        build(splindex.Vectors(*arrays(), TOKENS), ids=IDS, vocabulary=["a", "b"])
    with pytest.raises(splindex.Error, match="stands there twice"):
        build(arrays(), ids=IDS, vocabulary=["a", "b", "a"])
    with pytest.raises(splindex.Error, match="`ids` does not go with"):
        build([("a", {"x": 1.0})], ids=["a"])
    with pytest.raises(splindex.Error, match="`k1` must be at least 0"):
        splindex.build_bm25([("a", "x")], k1=-1.0, progress=False)
    with pytest.raises(splindex.Error, match="`progress` must be"):
        splindex.build([("a", {"x": 1.0})], progress="yes")
    with pytest.raises(splindex.Error, match="`ids` must be 2 ids"):
        splindex.build_bm25(["x", "y"], ids=["a"], progress=False)
    with pytest.raises(splindex.Error, match="3 ids and 2 texts"):
        splindex.build_bm25(iter(["x", "y"]), ids=["a", "b", "c"], progress=False)
    with pytest.raises(splindex.Error, match="record 2"):
        splindex.build_hybrid(
            [("a", {"x": 1.0}), ("b", {"x": 1.0})], [("a", "x"), ("c", "y")], progress=False
        )


def test_missing_files_are_file_not_found_errors(tmp_path, whales):
    gone = tmp_path / "gone"
    for ask in (
        lambda: splindex.Index.open(gone),
        lambda: build(gone),
        lambda: build([gone]),
        lambda: splindex.build_bm25(gone, progress=False),
        lambda: splindex.merge([gone], tmp_path / "x.spx", progress=False),
        lambda: splindex.convert(gone, tmp_path / "x.jsonl", progress=False),
        lambda: splindex.evaluate(gone, {"q": {"d": 1.0}}),
        lambda: splindex.evaluate({"q": {"d": 1}}, gone),
        lambda: whales.search_batch(gone),
    ):
        with pytest.raises(FileNotFoundError) as error:
            ask()
        assert isinstance(error.value, splindex.Error) and error.value.filename == str(gone)
        assert str(error.value) == f"{gone}: no such file or directory"
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_refused_and_left_alone(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("my notes\n")
    with pytest.raises(splindex.DataError, match="the output is there and is no index"):
        build([("a", {"x": 1.0})], output=text)
    assert text.read_text() == "my notes\n"
    with pytest.raises(splindex.DataError) as error:
        splindex.Index.open(text)
    assert error.value.path == str(text)
    with pytest.raises(splindex.DataError, match="no such folder"):
        build([("a", {"x": 1.0})], output=tmp_path / "no" / "x.spx")
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": "a", "vector": {"x": 1}}\n{"id": "b", "vector": {"x": -1}}\n')
    with pytest.raises(splindex.DataError) as error:
        build(bad, output=tmp_path / "x.spx")
    assert error.value.line == 2 and error.value.path == str(bad)
    with pytest.raises(splindex.Error, match="the output is also an input"):
        splindex.merge([bad], bad, progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jsonl", "notes.txt"]


def test_what_the_system_refuses_is_an_os_error(tmp_path):
    with pytest.raises(OSError) as error:
        splindex.build_bm25(tmp_path / ("x" * 300), progress=False)
    assert error.value.errno is not None


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (7, "expected a query: a text, a dict {token: weight} or Parts, found int"),
        (["whale"], "found list"),
        (None, "found NoneType"),
        ({"whale": -1.0}, "expected a finite weight ≥ 0 for token \"whale\", found -1"),
        ({"whale": float("nan")}, "found NaN"),
        ({"whale": "x"}, "expected a number as weight of token \"whale\", found str"),
        ({7: 1.0}, "expected a str as token, found int"),
        ({"whale": 1e9}, "expected query weights up to 65535"),
        ("a text", "the query is a text and the index holds learned weights; give a dict"),
    ],
)
def test_queries_that_are_none(whales, query, says):
    with pytest.raises(splindex.Error) as error:
        whales.search(query)
    assert says in str(error.value)
    with pytest.raises(splindex.DataError) as error:
        whales.search_batch({"fine": {"whale": 1.0}, "bad": query})
    assert says in str(error.value) and error.value.record == 2


def test_questions_that_an_index_cannot_be_asked(whales, tmp_path):
    for ask, kind, says in (
        (lambda: whales.search({"whale": 1.0}, algorithm="magic"), splindex.Error, "unknown algorithm"),
        (lambda: whales.search({"whale": 1.0}, algorithm="block_pruned"), splindex.DataError, "`skip_data`"),
        (lambda: whales.search({"whale": 1.0}, query_mass=2.0), splindex.SettingError, "`query_mass`"),
        (lambda: whales.search({"whale": 1.0}, k=-1), OverflowError, ""),
        (lambda: whales.score({"whale": 1.0}, ["d1", "d9"]), splindex.UnknownIdError, "found \"d9\""),
        (lambda: whales.score({"whale": 1.0}, [1]), splindex.UsageError, "expected a str as document id"),
        (lambda: whales.vector("d9"), KeyError, "expected an id of the index"),
        (lambda: whales.vector("d1", field="bm25"), splindex.SettingError, "`field` must be learned"),
        (lambda: whales.explain({"whale": 1.0}, "d9"), KeyError, "d9"),
        (lambda: whales.search_batch({"q": {"whale": 1.0}}, threads=0), splindex.SettingError, "`threads`"),
        (lambda: whales.search_batch([("q", {"x": 1.0}), ("q", {"x": 1.0})]), splindex.DataError, "unique query ids"),
        (lambda: whales.search_batch(7), splindex.UsageError, "expected queries or the path"),
        (lambda: whales.with_queries(hybrid_weight=1.0), splindex.DataError, "`hybrid_weight`"),
        (lambda: splindex.Index.open(tmp_path), splindex.DataError, "found a folder"),
        (lambda: splindex.Index.open(tmp_path, load="slow"), splindex.SettingError, "`load`"),
    ):  # fmt: skip
        with pytest.raises(kind) as error:
            ask()
        assert says in str(error.value)
    other = build([("a", {"x": 1.0})])
    with pytest.raises(splindex.UsageError, match="prepared for another index"):
        other.search_batch(whales.prepare({"q": {"whale": 1.0}}))


def test_a_hybrid_index_wants_both_parts():
    index = splindex.build_hybrid([("a", {"x": 1.0})], [("a", "y")], progress=False)
    with pytest.raises(splindex.UsageError, match="splindex.Parts"):
        index.search({"x": 1.0})
    with pytest.raises(splindex.UsageError, match="query_model"):
        index.search("y")
    assert index.search(splindex.Parts({"x": 1.0}, "y")).ids.tolist() == ["a"]
    assert index.search(splindex.Parts({"x": 1.0}, {"y": 1.0})).ids.tolist() == ["a"]


def test_an_iterator_that_fails_raises_its_own_error_and_leaves_nothing(tmp_path):
    def documents():
        yield from ((f"d{d}", {"x": 1.0 + d}) for d in range(1000))
        raise LookupError("the database has gone")

    def texts():
        yield from ((f"d{d}", "a text") for d in range(1000))
        raise LookupError("the database has gone")

    for work in (
        lambda: build(documents(), output=tmp_path / "x.spx"),
        lambda: splindex.build_bm25(texts(), tmp_path / "x.spx", progress=False),
        lambda: splindex.build_hybrid(documents(), texts(), tmp_path / "x.spx", progress=False),
    ):
        with pytest.raises(LookupError, match="the database has gone"):
            work()
    assert list(tmp_path.iterdir()) == []


def test_errors_are_value_errors_with_parts_and_pickle():
    with pytest.raises(ValueError) as error:
        build([("a", {"x": 1.0}), ("b", {"y": -1.0})])
    found = error.value
    assert type(found) is splindex.DataError and found.record == 2 and found.path == "<vectors>"
    again = pickle.loads(pickle.dumps(found))
    assert (type(again), str(again), again.record) == (type(found), str(found), 2)
    with pytest.raises(splindex.SettingError) as error:
        build([("a", {"x": 1.0})], bits=12)
    assert (error.value.expected, error.value.found) == ("1 to 8", "12")
    assert issubclass(splindex.UnknownIdError, KeyError)
    missing = splindex.MissingFileError("x: no such file or directory", path="x")
    again = pickle.loads(pickle.dumps(missing))
    assert (str(again), again.filename) == ("x: no such file or directory", "x")


def test_damaged_files_give_errors_or_answers_and_never_a_panic(made, tmp_path):
    """Every byte may be wrong: the engine's own exception is the only one that comes out."""
    import random

    rng = random.Random(5)
    path = tmp_path / "x.spx"
    splindex.build(made.vectors(), path, order="bp", skip_data=True, progress=False).close()
    whole = path.read_bytes()
    query, _ = made.query()
    errors = 0
    for _ in range(300):
        damaged = bytearray(whole)
        # Most of them in the directories, where a byte means most.
        for _ in range(rng.choice((1, 4))):
            at = rng.randrange(len(damaged)) if rng.random() < 0.5 else -rng.randrange(1, 4000)
            damaged[at] = rng.randrange(256)
        path = tmp_path / "damaged.spx"
        path.write_bytes(damaged)
        for ask in (
            lambda index: index.search(query, 20, rng.choice(("auto", "wand", "block_pruned"))).ids,
            lambda index: index.search_batch({"q": query}, 20).to_run(),
            lambda index: index.score(query, [made.ids[3], made.ids[1000]]),
            lambda index: index.vector(made.ids[7]),
            lambda index: list(index.ids),
            lambda index: index.statistics,
            lambda index: index.verify(deep=True),
        ):
            try:
                ask(splindex.Index.open(path))
            except splindex.InternalError:
                raise
            except splindex.Error:
                errors += 1
    print(f"{errors} errors")
    assert errors > 300
