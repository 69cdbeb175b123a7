"""Measures of runs of every shape."""

import collections

import pytest

import splindex

QRELS = {"q1": {"a": 2, "b": 0, "c": 1}, "q2": {"x": 1}, "q3": {"y": 1}}
RUN = {"q1": {"b": 9.0, "a": 3.0, "z": 1.0}, "q2": {"w": 1.0, "x": 0.5}, "q9": {"a": 1.0}}


def test_means_are_those_of_trec_eval():
    found = splindex.evaluate(QRELS, RUN, ["mrr", "p@2", "recall@10", "ndcg@10", "map"])
    assert found["mrr"] == 0.5 and found["p@2"] == 0.5
    assert found["recall@10"] == pytest.approx((1 / 2 + 1) / 2)
    assert (found.missing, found.unjudged, len(found.per_query)) == (1, 1, 2)
    assert found.per_query["q1"]["mrr"] == 0.5 and dict(found)["map"] == found["map"]
    assert "mrr 0.5000" in repr(found) and "2 queries" in repr(found)
    complete = splindex.evaluate(QRELS, RUN, ["mrr"], complete=True)
    assert complete["mrr"] == pytest.approx(1 / 3)
    assert splindex.evaluate(QRELS, RUN, ["p@2"], level=2)["p@2"] == pytest.approx(0.25)
    pytrec_eval = pytest.importorskip("pytrec_eval")
    measured = pytrec_eval.RelevanceEvaluator(QRELS, {"ndcg_cut_10", "map", "recip_rank"}).evaluate(RUN)
    for query, scores in measured.items():
        ours = found.per_query[query]
        theirs = scores["ndcg_cut_10"], scores["map"], scores["recip_rank"]
        assert (ours["ndcg@10"], ours["map"], ours["mrr"]) == pytest.approx(theirs)


def test_judgements_and_runs_of_every_shape(tmp_path):
    expected = splindex.evaluate(QRELS, RUN)
    Qrel = collections.namedtuple("Qrel", "query_id doc_id relevance iteration")
    Scored = collections.namedtuple("Scored", "query_id doc_id score")
    records = [Qrel(q, d, g, "0") for q, docs in QRELS.items() for d, g in docs.items()]
    scored = [Scored(q, d, s) for q, docs in RUN.items() for d, s in docs.items()]
    qrels, run = tmp_path / "qrels", tmp_path / "run"
    qrels.write_text("".join(f"{r.query_id} 0 {r.doc_id} {r.relevance}\n" for r in records))
    run.write_text("".join(f"{s.query_id} Q0 {s.doc_id} 1 {s.score} x\n" for s in scored))
    rankings = {q: sorted(docs, key=docs.get, reverse=True) for q, docs in RUN.items()}
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(scored).rename(columns={"query_id": "qid", "doc_id": "docno"})
    judged = pandas.DataFrame(records).rename(
        columns={"query_id": "qid", "doc_id": "docno", "relevance": "label"}
    )
    for judgements in (QRELS, records, str(qrels), qrels, judged):
        for answers in (RUN, scored, str(run), run, rankings, frame):
            found = splindex.evaluate(judgements, answers)
            assert dict(found) == dict(expected) and found.per_query == expected.per_query


def test_the_sample_gives_the_figures_of_the_readme(splade, bm25, sample):
    for index, mrr, ndcg in ((bm25, 0.7318, 0.6784), (splade, 0.8147, 0.7474)):
        batch = index.search_batch(sample.queries, k=100)
        found = splindex.evaluate(sample.qrels, batch, ["mrr@10", "ndcg@10"])
        assert (round(found["mrr@10"], 4), round(found["ndcg@10"], 4)) == (mrr, ndcg)
    runs = [index.search_batch(sample.queries, k=100) for index in (bm25, splade)]
    mrr, ndcg = splindex.compare(sample.qrels, *runs, ["mrr@10", "ndcg@10"])
    assert (mrr.base, round(mrr.other, 4)) == (pytest.approx(0.7318, abs=1e-4), 0.8147)
    assert mrr.wins + mrr.losses + mrr.ties == mrr.queries == 100 and 0 < ndcg.p < 0.2
    assert mrr.difference == pytest.approx(0.0829, abs=1e-3)
    again = splindex.compare(sample.qrels, *runs, ["mrr@10", "ndcg@10"])
    assert again == [mrr, ndcg]


@pytest.mark.parametrize(
    ("qrels", "run", "measures", "says"),
    [
        (QRELS, RUN, ["magic"], "unknown measure \"magic\""),
        (QRELS, RUN, [], "expected at least one measure"),
        (QRELS, {"q9": {"a": 1.0}}, ["mrr"], "expected judgements of the run's queries"),
        (QRELS, {"q1": {"a": float("nan")}}, ["mrr"], "expected a finite score, found NaN"),
        (QRELS, [("q1", "a", 1.0)], ["mrr"], "records with query_id, doc_id and score"),
        ({"q1": {"a": 0.5}}, RUN, ["mrr"], "expected whole numbers as grades, found 0.5"),
    ],
)
def test_what_cannot_be_measured(qrels, run, measures, says):
    with pytest.raises(splindex.Error) as error:
        splindex.evaluate(qrels, run, measures)
    assert says in str(error.value)
