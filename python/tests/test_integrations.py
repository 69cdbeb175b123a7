"""Where users work: each integration runs, or its package is not installed."""

import collections
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import splindex

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pt():
    return pytest.importorskip("pyterrier")


@pytest.fixture(scope="module")
def topics(sample):
    pandas = pytest.importorskip("pandas")
    questions = sample.questions()
    return pandas.DataFrame({"qid": list(questions), "query": list(questions.values())})


def test_pyterrier_retrieves_for_queries_and_for_tokens(pt, topics, splade, encoder):
    import splindex.pyterrier as sp

    retriever = sp.Retriever(splade, num_results=50)
    found = retriever(topics)
    assert {"qid", "query", "docno", "score", "rank"} <= set(found.columns)
    batch = splade.search_batch(list(zip(topics["qid"], topics["query"])), k=50)
    assert found["docno"].tolist() == batch.ids.tolist()
    # PyTerrier sorts by score, ties by nothing in particular: ours fall strictly.
    for _, group in found.groupby("qid"):
        assert group["score"].is_monotonic_decreasing and group["score"].is_unique
        assert group["rank"].tolist() == list(range(len(group)))
    toks = topics.assign(query_toks=encoder.encode_queries(topics["query"]).to_dicts())
    toks = toks.drop(columns=["query"])
    assert retriever(toks)["docno"].tolist() == found["docno"].tolist()
    with pytest.raises(KeyError):
        retriever(topics.drop(columns=["query"]))
    assert not pt.java.started()


def test_pyterrier_pipelines(pt, topics, splade, bm25, sample):
    import splindex.pyterrier as sp

    first, second = sp.Retriever(bm25, num_results=20), sp.Scorer(splade)
    cut = (first % 5)(topics)
    assert cut.groupby("qid").size().max() == 5
    assert cut["docno"].tolist() == sp.Retriever(bm25, num_results=5)(topics)["docno"].tolist()
    assert (first % 5).compile().num_results == 5
    reranked = (first >> second)(topics)
    assert len(reranked) == len(first(topics))
    for qid, group in list(reranked.groupby("qid"))[:10]:
        query = group["query"].iloc[0]
        exact = splade.score(query, group["docno"]).float_scores
        assert group["score"].to_numpy() == pytest.approx(exact)
        best = group.sort_values("rank")["score"].to_numpy()
        assert np.all(best[:-1] >= best[1:])
    features = (first >> (second**second))(topics)
    assert all(len(row) == 2 for row in features["features"])
    hybrid = (first + sp.Retriever(splade))(topics)
    assert len(hybrid) > len(reranked)
    qrels = _qrels(sample)
    table = pt.Experiment([first, first >> second], topics, qrels, ["recip_rank", "ndcg_cut_10"])
    run = bm25.search_batch(sample.queries, k=20)
    ours = splindex.evaluate(sample.qrels, run, ["mrr", "ndcg@10"])
    assert table["recip_rank"][0] == pytest.approx(ours["mrr"])
    assert table["ndcg_cut_10"][0] == pytest.approx(ours["ndcg@10"])


def _qrels(sample):
    import pandas

    rows = [line.split() for line in sample.qrels.read_text().splitlines()]
    return pandas.DataFrame([(q, d, int(g)) for q, _, d, g in rows], columns=["qid", "docno", "label"])


def test_pyterrier_indexes_what_pipelines_give(pt, sample, encoder, splade, bm25, tmp_path):
    import splindex.pyterrier as sp

    passages = sample.passages()
    records = [{"docno": name, "text": text} for name, text in passages.items()]
    assert sp.Indexer(progress=False).index(records).content_id == bm25.content_id

    def toks(row):
        return encoder.encode_documents([row["text"]], progress=False)[0]

    pipeline = pt.apply.toks(toks) >> sp.Indexer(
        tmp_path / "x.spx", progress=False
    )
    index = pipeline.index(iter(records))
    assert index.content_id == splade.content_id and index.path == tmp_path / "x.spx"
    both = [{**record, "toks": vector} for record, vector in
            zip(records, encoder.encode_documents(passages.values()).to_dicts())]  # fmt: skip
    hybrid = sp.Indexer(hybrid=True, progress=False).index(both)
    assert hybrid.fields == ["learned", "bm25"]
    import pandas

    query = sample.questions()["q002"]
    toks = encoder.encode_queries([query]).to_dicts()[0]
    frame = pandas.DataFrame([{"qid": "1", "query": query, "query_toks": toks}])
    found = sp.Retriever(hybrid, num_results=10)(frame)
    expected = hybrid.search(splindex.Parts(toks, query), k=10)
    assert found["docno"].tolist() == expected.ids.tolist()
    with pytest.raises(splindex.UsageError, match="found none"):
        sp.Indexer().index([])


def test_torch_tensors_are_matrices(encoder, sample):
    torch = pytest.importorskip("torch")
    texts = list(sample.passages().values())[:20]
    vectors = encoder.encode_documents(texts, progress=False)
    expected = splindex.build(vectors, progress=False).content_id
    csr = torch.sparse_csr_tensor(
        torch.from_numpy(vectors.indptr),
        torch.from_numpy(vectors.indices.astype(np.int64)),
        torch.from_numpy(vectors.data),
        size=vectors.shape,
    )
    coo = csr.to_sparse_coo()
    rows = [coo[row] for row in range(20)]
    for tensor in (csr, coo, rows):
        built = splindex.build(tensor, vocabulary=encoder.vocabulary, progress=False)
        assert built.content_id == expected


def test_a_sparse_encoder_and_ours_give_the_same_index(sample, encoder, tmp_path):
    """sentence-transformers loads the shipped checkpoint, offline; its vectors go in as they are."""
    pytest.importorskip("sentence_transformers")
    import splindex.sentence_transformers as st
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import MLMTransformer, SpladePooling

    transformer = MLMTransformer(str(sample.model))
    model = SparseEncoder(modules=[transformer, SpladePooling()], device="cpu")
    passages = dict(list(sample.passages().items())[:60])
    embeddings = model.encode_document(list(passages.values()))
    index = splindex.build(embeddings, ids=list(passages), vocabulary=model.tokenizer, progress=False)
    ours = splindex.build(encoder.encode_documents(passages.values()), ids=list(passages), progress=False)
    # Floats differ in their last bits, impacts by one at most.
    for name in list(passages)[:20]:
        a, b = index.vector(name), ours.vector(name)
        shared = set(a) & set(b)
        assert len(shared) >= 0.99 * max(len(a), len(b))
        assert max(abs(a[token] - b[token]) for token in shared) <= 1
    same = st.build(model, list(passages.values()), ids=list(passages), progress=False)
    assert same.content_id == index.content_id
    queries = st.encode_queries(model, list(sample.questions().values())[:5])
    batch = index.search_batch(queries, k=5)
    assert len(batch) == 5 and batch.offsets[-1] == 25
    rows = index.search_batch(model.encode_query(list(sample.questions().values())[:5]), k=5,
                              vocabulary=model.tokenizer)  # fmt: skip
    assert rows.ids.tolist() == batch.ids.tolist()


def test_records_of_ir_datasets(sample, bm25):
    """The shapes of ir_datasets' records, offline; its own classes where it is installed."""
    if importlib.util.find_spec("ir_datasets"):
        from ir_datasets.formats import GenericDoc, TrecQrel
        from ir_datasets.formats.base import GenericQuery, GenericScoredDoc
    else:
        GenericDoc = collections.namedtuple("GenericDoc", "doc_id text")
        TrecQrel = collections.namedtuple("TrecQrel", "query_id doc_id relevance iteration")
        GenericQuery = collections.namedtuple("GenericQuery", "query_id text")
        GenericScoredDoc = collections.namedtuple("GenericScoredDoc", "query_id doc_id score")
    docs = (GenericDoc(name, text) for name, text in sample.passages().items())
    index = splindex.build_bm25(docs, progress=False)
    assert index.content_id == bm25.content_id
    queries = [GenericQuery(name, text) for name, text in sample.questions().items()]
    batch = index.search_batch(queries, k=100)
    rows = [line.split() for line in sample.qrels.read_text().splitlines()]
    qrels = [TrecQrel(q, d, int(g), "0") for q, _, d, g in rows]
    expected = splindex.evaluate(sample.qrels, batch)
    assert dict(splindex.evaluate(iter(qrels), batch)) == dict(expected)
    run = [GenericScoredDoc(q, d, s) for q, docs in batch.to_run().items() for d, s in docs.items()]
    assert dict(splindex.evaluate(iter(qrels), iter(run))) == dict(expected)


def test_langchain_retrieves_documents(sample, splade):
    pytest.importorskip("langchain_core")
    from splindex.langchain import SplindexRetriever

    passages = sample.passages()
    question = sample.questions()["q001"]
    hits = splade.search(question, k=3)
    for texts in (passages, passages.get):
        retriever = SplindexRetriever(index=splade, texts=texts, k=3)
        documents = retriever.invoke(question)
        assert [document.id for document in documents] == hits.ids.tolist()
        assert [document.page_content for document in documents] == [passages[i] for i in hits.ids]
        assert [document.metadata["integer_score"] for document in documents] == hits.scores.tolist()
    chain = retriever | (lambda documents: len(documents))
    assert chain.invoke(question) == 3 and len(retriever.batch([question, question])) == 2


def _module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_feedback_by_rm3_equals_its_formula(sample, splade):
    rm3 = _module(ROOT / "examples" / "rm3.py").rm3
    query = splade.with_queries().search  # the index as it is
    assert callable(query)
    encoder = splindex.Encoder(sample.model)
    asked = encoder.encode_queries([sample.questions()["q004"]]).to_dicts()[0]
    expanded = rm3(splade, asked, k=20, documents=3, terms=10)
    # Without a part for feedback it is the first search, whatever the documents say.
    alone = rm3(splade, asked, k=20, original=1.0)
    assert set(alone.ids) == set(splade.search(asked, k=20).ids)
    first = splade.search(asked, k=3)
    share = first.float_scores / first.float_scores.sum()
    vectors = [splade.vector(name) for name in first.ids]
    token = max(vectors[0], key=lambda token: vectors[0][token])
    weight = sum(s * v.get(token, 0) / sum(v.values()) for s, v in zip(share, vectors))
    assert weight > 0 and len(expanded) == 20
    assert len(rm3(splade, {"nosuchtoken": 1.0})) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="as in CI")
def test_the_notebook_runs(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("matplotlib")
    notebook = nbformat.read(ROOT / "examples" / "tour.ipynb", as_version=4)
    assert len(notebook.cells) == 10
    client = nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}})
    client.execute()
    outputs = [output for cell in notebook.cells[1:] for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not any(output["output_type"] == "error" for output in outputs)
