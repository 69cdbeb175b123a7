"""Texts through the shipped model."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import splindex


def test_vectors_are_those_of_a_store(sample, encoder, store, tmp_path):
    passages = sample.passages()
    vectors = encoder.encode_documents(passages.values(), progress=False)
    assert vectors.shape == (300, 30522) and vectors.data.dtype == np.float32
    built = splindex.build(vectors, ids=list(passages), progress=False)
    assert built.content_id == splindex.build(store, progress=False).content_id
    as_dicts = zip(passages, vectors.to_dicts())
    assert splindex.build(as_dicts, progress=False).content_id == built.content_id
    assert vectors[-1] == vectors.to_dicts()[299] and len(list(vectors)) == 300
    scipy = pytest.importorskip("scipy.sparse")
    assert scipy.issparse(vectors.to_scipy()) and vectors.to_scipy().shape == (300, 30522)


def test_texts_come_in_any_column(encoder):
    texts = ["a blue whale", "", "threading models"]
    expected = encoder.encode_queries(texts, progress=False).to_dicts()
    assert expected[1] == {} and encoder.inference_free
    assert encoder.encode_queries(iter(texts)).to_dicts() == expected
    assert encoder.encode_queries(np.array(texts)).to_dicts() == expected
    pandas = pytest.importorskip("pandas")
    assert encoder.encode_queries(pandas.Series(texts)).to_dicts() == expected
    arrow = pytest.importorskip("pyarrow")
    assert encoder.encode_queries(arrow.chunked_array([texts[:1], texts[1:]])).to_dicts() == expected
    assert encoder.encode_documents([]).shape[0] == 0


def test_vectors_do_not_depend_on_threads_and_encoders_pickle(sample, encoder):
    texts = list(sample.passages().values())[:40]
    one = splindex.Encoder(sample.model, threads=1).encode_documents(texts, progress=False)
    again = pickle.loads(pickle.dumps(encoder)).encode_documents(texts, progress=False)
    for array in ("indptr", "indices", "data"):
        assert np.array_equal(getattr(one, array), getattr(again, array))
    short = splindex.Encoder(sample.model, max_length=8).encode_documents(texts, progress=False)
    assert short.truncated == 40 and len(short.data) < len(one.data)


def test_a_store_is_that_of_the_program(sample, encoder, store, tmp_path):
    told = encoder.encode_to_store(sample.collection, tmp_path / "ours", progress=False)
    assert told["documents"] == 300 and told["resumed"] == 0 and told["postings"] > 10_000
    program = Path(sys.executable).parent / "splindex"
    subprocess.run(
        [program, "encode", "--model", sample.model, "--input", "-", "--output", tmp_path / "its",
         "--quiet"],
        stdin=open(sample.collection),
        check=True,
    )  # fmt: skip
    for file in ("part-00000.vec", "journal.jsonl", "manifest.json", "tokens.json"):
        assert (tmp_path / "ours" / file).read_bytes() == (tmp_path / "its" / file).read_bytes()
        assert (store / file).read_bytes() == (tmp_path / "its" / file).read_bytes()


def test_a_store_that_stopped_goes_on_to_the_same_bytes(sample, encoder, tmp_path):
    texts = [(f"{name}-{round}", text) for round in range(4) for name, text in sample.passages().items()]
    encoder.encode_to_store(texts, tmp_path / "whole", progress=False)

    def stops():
        yield from texts[:1100]
        raise TimeoutError("enough for today")

    with pytest.raises(TimeoutError):
        encoder.encode_to_store(stops(), tmp_path / "parts", progress=False)
    with pytest.raises(splindex.DataError, match="unfinished"):
        splindex.build(tmp_path / "parts", progress=False)
    with pytest.raises(splindex.DataError, match="exists already"):
        encoder.encode_to_store(texts, tmp_path / "parts", progress=False)
    with pytest.raises(splindex.UsageError, match="the input differs"):
        encoder.encode_to_store(texts[5:], tmp_path / "parts", resume=True, progress=False)
    told = encoder.encode_to_store(texts, tmp_path / "parts", resume=True, progress=False)
    assert 0 < told["resumed"] < 1200 == told["documents"]
    for file in (tmp_path / "whole").iterdir():
        assert file.read_bytes() == (tmp_path / "parts" / file.name).read_bytes()


def test_what_cannot_be_encoded_is_refused(sample, encoder, tmp_path):
    with pytest.raises(FileNotFoundError):
        splindex.Encoder(tmp_path / "gone" / "model").encode_queries(["x"])
    with pytest.raises(splindex.DataError):
        splindex.Encoder(tmp_path).encode_documents(["x"])
    for texts, says in (
        ("one text", "found one str; put it into a list"),
        ({"a": "x"}, "found a mapping"),
        ([7], "record 1: expected a str as text, found int"),
        (["x", None], "record 2: expected a str as text, found NoneType"),
        (7, "expected texts or the path"),
    ):
        with pytest.raises(splindex.Error) as error:
            encoder.encode_documents(texts, progress=False)
        assert says in str(error.value)
    with pytest.raises(splindex.SettingError, match="`kind` must be"):
        encoder.encode_to_store([("a", "x")], tmp_path / "store", kind="passage")
    with pytest.raises(splindex.SettingError, match="`threads`"):
        splindex.Encoder(sample.model, threads=0)
    with pytest.raises(splindex.SettingError, match="`max_length`"):
        splindex.Encoder(sample.model, max_length=0)
    with pytest.raises(splindex.Error, match="`max_length` 9999"):
        splindex.Encoder(sample.model, max_length=9999).encode_documents(["x"])
    assert not (tmp_path / "store").exists()
