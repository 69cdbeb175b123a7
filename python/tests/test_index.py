"""An open index: what it answers, how it is shared and closed."""

import multiprocessing
import pickle
import threading

import numpy as np
import pytest

import splindex


def test_hits_are_arrays_pairs_and_a_dict(whales):
    hits = whales.search({"whale": 1.0, "ship": 0.5}, k=10)
    assert hits.ids.dtype == object and hits.ordinals.dtype == hits.scores.dtype == np.int64
    assert list(hits) == list(zip(hits.ids, hits.scores)) == list(hits.to_dict().items())
    assert hits[0] == ("d2", 27421 + 24 * 0) or hits[0][0] == "d2"
    assert hits[-1] == hits[1] and len(hits) == 2
    with pytest.raises(IndexError):
        hits[2]
    assert repr(hits).startswith("Hits(2: [('d2', ")
    assert repr(whales.search({"none": 1.0})) == "Hits(0: [])"
    # 100 × the query's weights, 255 / 2.0 × the documents'.
    assert hits.float_scores == pytest.approx(hits.scores / (100 * 127.5))


def test_batches_of_every_shape_are_the_same(splade, encoder, sample, tmp_path):
    questions = sample.questions()
    expected = splade.search_batch(questions, k=20)
    assert len(expected) == 100 and expected.offsets[-1] == len(expected.ids)

    def same(batch):
        assert batch.queries == expected.queries
        assert np.array_equal(batch.ordinals, expected.ordinals)
        assert np.array_equal(batch.scores, expected.scores)
        assert np.array_equal(batch.offsets, expected.offsets)

    same(splade.search_batch(list(questions.items()), k=20))
    same(splade.search_batch(sample.queries, k=20))
    same(splade.search_batch(list(questions.values()), k=20, ids=list(questions)))
    vectors = encoder.encode_queries(questions.values(), progress=False)
    same(splade.search_batch(vectors, k=20, ids=list(questions)))
    same(splade.search_batch(dict(zip(questions, vectors.to_dicts())), k=20))
    prepared = splade.prepare(questions)
    assert prepared.ids == list(questions) and len(prepared.unknown) == 100
    for threads in (1, 3):
        same(splade.search_batch(prepared, k=20, threads=threads))
    matrix = pytest.importorskip("scipy.sparse")
    csr = vectors.to_scipy()
    assert matrix.issparse(csr)
    same(splade.search_batch(csr, k=20, ids=list(questions), vocabulary=encoder.vocabulary))
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"qid": list(questions), "query": list(questions.values())})
    same(splade.search_batch(frame, k=20))
    table = expected.to_pandas()
    assert list(table.columns) == ["qid", "docno", "rank", "score", "integer_score", "ordinal"]
    assert table["docno"].tolist() == expected.ids.tolist()
    assert table[table["qid"] == "q003"]["rank"].tolist() == list(range(len(expected["q003"])))
    single = [splade.search(text, k=20) for text in questions.values()]
    assert [hits.ordinals.tolist() for hits in single] == [h.ordinals.tolist() for _, h in expected]
    for name, batch in (("run.jsonl", "jsonl"), ("run.tsv", "msmarco"), ("run.gz", "trec")):
        expected.write(tmp_path / name, format=batch)
    qrels = {q: {d: 1 for d in list(docs)[:1]} for q, docs in expected.to_run().items()}
    for run in (expected, expected.to_run(), tmp_path / "run.jsonl", tmp_path / "run.gz", table):
        assert splindex.evaluate(qrels, run, ["mrr"])["mrr"] == 1.0


def test_an_empty_batch_is_empty(whales):
    batch = whales.search_batch({})
    assert len(batch) == 0 and batch.offsets.tolist() == [0] and batch.to_run() == {}


def test_approximations_are_marked(made):
    index = splindex.build(made.vectors(), progress=False)
    query, _ = made.query()
    exact = index.search(query, k=30)
    assert exact.approximation == "exact"
    cut = index.search(query, k=30, max_query_terms=1)
    assert cut.approximation == "1 term" and "approximate: 1 term" in repr(cut)
    batch = index.search_batch({"q": query}, k=30, query_mass=0.5, rescore=100)
    assert "100 rescored" in batch.approximation and "approximate" in repr(batch)
    # The searcher that answered it is exact again.
    assert index.search(query, k=30).to_dict() == exact.to_dict()


def test_scores_of_given_documents_are_those_of_a_search(bm25, sample):
    question = sample.questions()["q010"]
    hits = bm25.search(question, k=300)
    ids = sorted(hits.ids)
    scored = bm25.score(question, ids)
    assert scored.ids.tolist() == ids
    assert scored.to_dict() == {name: hits.to_dict()[name] for name in ids}
    parts = bm25.explain(question, hits.ids[0])
    assert sum(part.score for part in parts) == hits.scores[0]
    assert all(part.field == "bm25" and part.weight * part.impact == part.score for part in parts)
    for part in parts:
        assert bm25.document_frequency(part.token) >= 1
    assert bm25.document_frequency("no such stem") == 0


def test_a_closed_index_refuses_and_hits_stay(whales):
    hits = whales.search({"whale": 1.0})
    batch = whales.search_batch({"q": {"whale": 1.0}})
    with whales as same:
        assert same is whales and not whales.closed
    assert whales.closed and repr(whales) == "Index(closed)"
    whales.close()
    for ask in (
        lambda: whales.search({"whale": 1.0}),
        lambda: whales.search_batch({"q": {"whale": 1.0}}),
        lambda: whales.score({"whale": 1.0}, ["d1"]),
        lambda: whales.vector("d1"),
        lambda: whales.explain({"whale": 1.0}, "d1"),
        lambda: whales.verify(),
        lambda: whales.with_queries(),
        lambda: len(whales),
        lambda: whales.ids,
        lambda: whales.statistics,
        lambda: whales.content_id,
        lambda: "d1" in whales,
        lambda: pickle.dumps(whales),
        lambda: whales.__enter__().search({}),
    ):
        with pytest.raises(splindex.UsageError, match="the index is closed"):
            ask()
    assert hits.ids.tolist() == batch.ids.tolist() == ["d1", "d2"]


def test_indexes_pickle_by_path(splade, tmp_path, sample):
    again = pickle.loads(pickle.dumps(splade))
    question = sample.questions()["q005"]
    assert again.search(question).to_dict() == splade.search(question).to_dict()
    path = tmp_path / "small.spx"
    index = splindex.build([("a", {"x": 1.0})], path, progress=False)
    pickled = pickle.dumps(index)
    splindex.build([("b", {"x": 2.0})], path, progress=False)
    with pytest.raises(splindex.DataError, match="open it anew"):
        pickle.loads(pickled)
    with pytest.raises(splindex.UsageError, match="no path to pickle"):
        pickle.dumps(splindex.build([("a", {"x": 1.0})], progress=False))


def _search(job):
    index, text = job
    return index.search_batch({"q": text}, k=5, threads=2).to_run()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_process_pools_take_indexes(splade, sample, method):
    # A child of a fork has none of its parent's threads, though the parent used them.
    jobs = [(splade, text) for text in list(sample.questions().values())[:4]]
    expected = [_search(job) for job in jobs]
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map_async(_search, jobs).get(timeout=120) == expected


def test_threads_share_an_index(splade, sample):
    questions = list(sample.questions().values())
    expected = [splade.search(text).to_dict() for text in questions]
    found = [None] * len(questions)

    def work(start):
        for at in range(start, len(questions), 4):
            found[at] = splade.search(questions[at]).to_dict()

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_looking_into_an_index(splade, sample, tmp_path):
    told = splade.statistics
    assert told["documents"] == len(splade) == 300 and told["codec"] == "fast"
    assert told["fields"][0]["kind"] == "learned" and told["postings"] > 10_000
    assert "p001" in splade and "x" not in splade and "p007" in splade.ids
    assert splade.ids[6] == splade.ids[-294] == "p007" and splade.ordinal("p007") == 6
    assert len(splade.content_id) == 32
    assert repr(splade).startswith(f'Index("{splade.path}", 300 documents, ')
    splade.verify()
    splade.verify(deep=True)
    for load in ("populate", "ram"):
        other = splindex.Index.open(splade.path, load=load)
        assert other.content_id == splade.content_id
    damaged = bytearray(splade.path.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    (tmp_path / "damaged.spx").write_bytes(damaged)
    with pytest.raises(splindex.DataError, match="expected checksum"):
        splindex.Index.open(tmp_path / "damaged.spx").verify()


def test_the_lock_is_free_while_rust_works(made):
    """A thread in the engine's long work lets others run: one that waits for it would deadlock."""
    started, go_on = threading.Event(), threading.Event()

    def documents():
        for number, document in enumerate(made.vectors()):
            if number == 300:
                started.set()
                assert go_on.wait(60)
            yield document

    built = []
    builder = threading.Thread(target=lambda: built.append(splindex.build(documents(), progress=False)))
    builder.start()
    assert started.wait(60)
    other = splindex.build(made.vectors(), progress=False)
    go_on.set()
    builder.join(60)
    assert built[0].content_id == other.content_id
