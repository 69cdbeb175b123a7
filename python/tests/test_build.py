"""Ways in: what users have becomes the same index as by any other way."""

import collections
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import splindex

DOCUMENTS = [("d1", {"whale": 2.0, "sea": 0.5}), ("d2", {"whale": 1.2, "ship": 1.9}), ("d3", {})]
TOKENS = ["whale", "sea", "ship"]
ARRAYS = np.array([0, 2, 4, 4]), np.array([0, 1, 0, 2]), np.array([2.0, 0.5, 1.2, 1.9])
IDS = ["d1", "d2", "d3"]


def content(*args, **kwargs):
    return splindex.build(*args, progress=False, **kwargs).content_id


@pytest.fixture(scope="module")
def expected():
    return content(DOCUMENTS)


def test_vectors_in_memory_give_the_same_index_whatever_their_shape(expected):
    assert content(iter(DOCUMENTS)) == expected
    assert content(dict(DOCUMENTS)) == expected
    assert content((name, collections.OrderedDict(v)) for name, v in DOCUMENTS) == expected
    for dtype in (np.int32, np.int64, np.uint16, np.uint64):
        indptr, indices, data = ARRAYS
        arrays = indptr.astype(dtype), indices.astype(dtype), data
        assert content(arrays, ids=IDS, vocabulary=TOKENS) == expected
    for dtype in (np.float32, np.float64):
        arrays = (*ARRAYS[:2], ARRAYS[2].astype(dtype))
        assert content(arrays, ids=np.array(IDS), vocabulary=TOKENS) == expected
    strided = tuple(np.repeat(array, 2)[::2] for array in ARRAYS)
    assert content(strided, ids=IDS, vocabulary=TOKENS) == expected
    assert content(splindex.Vectors(*ARRAYS, TOKENS), ids=IDS) == expected
    vocabulary = {token: column for column, token in enumerate(TOKENS)}
    assert content(ARRAYS, ids=IDS, vocabulary=vocabulary) == expected


def test_scipy_matrices_of_any_layout(expected):
    sparse = pytest.importorskip("scipy.sparse")
    indptr, indices, data = ARRAYS
    matrix = sparse.csr_matrix((data, indices, indptr), shape=(3, 3))
    for given in (matrix, sparse.csr_array(matrix), matrix.tocsc(), matrix.tocoo()):
        assert content(given, ids=IDS, vocabulary=TOKENS) == expected
    numbered = splindex.build(matrix, progress=False)
    assert list(numbered.ids) == ["0", "1", "2"]
    assert numbered.vector("0") == {"0": 255, "1": 64}


def test_frames_and_columns_of_texts():
    texts = ["the blue whale", "a red ship", ""]
    expected = splindex.build_bm25(list(zip(IDS, texts)), progress=False).content_id

    def of(*args, **kwargs):
        return splindex.build_bm25(*args, progress=False, **kwargs).content_id

    Doc = collections.namedtuple("Doc", "doc_id url text")

    class Titled(collections.namedtuple("Titled", "doc_id title body")):
        def default_text(self):
            return f"{self.title} {self.body}".strip()

    assert of(dict(zip(IDS, texts))) == expected
    assert of(texts, ids=IDS) == expected
    assert of(iter(texts), ids=iter(IDS)) == expected
    assert of(Doc(name, "x", text) for name, text in zip(IDS, texts)) == expected
    assert of(Titled(name, *text.split(" ", 1)) if text else Titled(name, "", "")
              for name, text in zip(IDS, texts)) == expected  # fmt: skip
    assert of({"docno": name, "text": text} for name, text in zip(IDS, texts)) == expected
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"docno": IDS, "text": texts})
    assert of(frame) == expected
    assert of(frame["text"], ids=frame["docno"]) == expected
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table({"docno": IDS, "text": texts})
    assert of(table) == expected
    assert of(table["text"], ids=table["docno"]) == expected
    assert of(arrow.array(texts), ids=IDS) == expected


def test_numbers_as_ids_are_written():
    index = splindex.build([(7, {"a": 1.0}), (np.int64(8), {"a": 2.0})], progress=False)
    assert list(index.ids) == ["7", "8"]


def test_files_give_what_the_program_gives(tmp_path, expected, store):
    lines = [json.dumps({"id": name, "vector": vector}) for name, vector in DOCUMENTS]
    path = tmp_path / "docs.jsonl"
    path.write_text("\n".join(lines) + "\n")
    for given in (path, str(path), [path]):
        assert content(given) == expected
    ours = splindex.build(store, tmp_path / "ours.spx", order="bp", codec="small", progress=False)
    program = Path(sys.executable).parent / "splindex"
    command = [program, "build", "--input", store, "--output", tmp_path / "its.spx", "--quiet"]
    subprocess.run([*command, "--order", "bp", "--codec", "small"], check=True)
    assert (tmp_path / "ours.spx").read_bytes() == (tmp_path / "its.spx").read_bytes()
    assert ours.statistics["provenance"]["inputs"] == ["vectors"]
    assert ours.statistics["provenance"]["model"]["model"]["name"] == "tiny"


def test_text_files_give_what_the_program_gives(tmp_path, sample):
    splindex.build_bm25(sample.collection, tmp_path / "ours.spx", progress=False).close()
    program = Path(sys.executable).parent / "splindex"
    subprocess.run(
        [program, "build", "--bm25", "--input", sample.collection,
         "--output", tmp_path / "its.spx", "--quiet"],
        check=True,
    )  # fmt: skip
    assert (tmp_path / "ours.spx").read_bytes() == (tmp_path / "its.spx").read_bytes()
    memory = splindex.build_bm25(sample.passages(), progress=False)
    assert memory.content_id == splindex.Index.open(tmp_path / "ours.spx").content_id


def test_hybrids_from_files_and_memory(tmp_path, sample, store, encoder):
    one = splindex.build_hybrid(store, sample.collection, progress=False)
    vectors = encoder.encode_documents(sample.passages().values(), progress=False)
    passages = sample.passages()
    ids = list(passages)
    two = splindex.build_hybrid(vectors, passages, ids=ids, progress=False)
    three = splindex.build_hybrid(vectors, list(passages.values()), ids=ids, progress=False)
    assert one.content_id == two.content_id == three.content_id
    assert one.fields == ["learned", "bm25"]
    index = two.with_queries(query_model=encoder)
    question = sample.questions()["q001"]
    hits = index.search(question)
    learned = encoder.encode_queries([question]).to_dicts()[0]
    assert index.search(splindex.Parts(learned, question)).to_dict() == hits.to_dict()
    assert index.search(splindex.Parts(question, question)).to_dict() == hits.to_dict()
    bm25 = two.with_queries(hybrid_weight=0.0).search(question)
    alone = splindex.build_bm25(passages, progress=False).search(question)
    assert bm25.ids.tolist() == alone.ids.tolist()
    assert set(two.vector("p001", field="bm25")) == set(
        splindex.build_bm25(passages, progress=False).vector("p001")
    )


def test_memory_threads_and_orders_never_show_in_answers(made):
    expected = splindex.build(made.vectors(), progress=False)
    small = splindex.build(made.vectors(), memory="60MiB", threads=1, progress=False)
    assert small.content_id == expected.content_id
    order = list(range(len(made.ids)))[::-1]
    turned = splindex.build(made.vectors(), order=order, progress=False)
    query, _ = made.query()
    assert turned.search(query, k=40).to_dict() == expected.search(query, k=40).to_dict()


def test_pruning_and_zeros_are_counted():
    documents = [("a", {"x": 3.0, "y": 1.0, "z": 0.0}), ("b", {"x": 0.0}), ("c", {"x": 9.0})]
    index = splindex.build(documents, top_per_doc=1, progress=False)
    told = index.statistics
    assert (told["documents"], told["empty_documents"], told["zero_weights"]) == (3, 1, 2)
    assert told["pruned"] == 1 and index.vector("a") == {"x": 3}


def test_merged_parts_are_one_build(made, tmp_path):
    documents = list(made.vectors())
    whole = splindex.build(documents, scale=255.0, progress=False)
    paths = [tmp_path / "0.spx", tmp_path / "1.spx"]
    for path, part in zip(paths, (documents[:700], documents[700:])):
        splindex.build(part, path, scale=255.0, progress=False).close()
    merged = splindex.merge(paths, tmp_path / "all.spx", progress=False)
    assert merged.content_id == whole.content_id and merged.path == tmp_path / "all.spx"


def test_conversions_there_and_back(tmp_path, made):
    path = tmp_path / "docs.spx"
    index = splindex.build(made.vectors(), path, progress=False)
    for name in ("docs.jsonl.gz", "docs.ciff", "docs.npz"):
        told = splindex.convert(path, tmp_path / name, progress=False)
        assert told["documents"] == len(index)
        assert splindex.build(tmp_path / name, progress=False).content_id == index.content_id
    told = splindex.convert([path], tmp_path / "store", to="store", progress=False)
    assert told["postings"] == index.statistics["postings"]
