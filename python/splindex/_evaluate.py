"""Measures of runs, equal to those of trec_eval 10."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import _engine, _frames
from ._types import Comparison

DEFAULT = ("mrr@10", "recall@1000", "ndcg@10", "map")


class Evaluation(Mapping[str, float]):
    """Means of a run's measures, by name; `per_query` has each query's."""

    def __init__(
        self,
        means: dict[str, float],
        per_query: dict[str, dict[str, float]],
        missing: int,
        unjudged: int,
    ) -> None:
        self._means = means
        #: Scores by query and measure.
        self.per_query = per_query
        #: Judged queries that the run lacks: counted as 0 under `complete`, else left out.
        self.missing = missing
        #: Queries of the run that are not judged; always left out.
        self.unjudged = unjudged

    def __getitem__(self, measure: str) -> float:
        return self._means[measure]

    def __iter__(self) -> Iterator[str]:
        return iter(self._means)

    def __len__(self) -> int:
        return len(self._means)

    def __repr__(self) -> str:
        means = ", ".join(f"{name} {mean:.4f}" for name, mean in self._means.items())
        return f"Evaluation({means}; {len(self.per_query)} queries)"


def evaluate(
    qrels: Any,
    run: Any,
    measures: Sequence[str] = DEFAULT,
    *,
    level: int = 1,
    complete: bool = False,
) -> Evaluation:
    """Measures a run against judgements, as trec_eval 10 does.

    `qrels` is a file, `{query: {document: grade}}`, a frame with `qid`, `docno` and `label`, or
    ir_datasets' records. `run` is a file, a `Batch`, `{query: {document: score}}`, `{query:
    [document, …]}` (best first), or a frame with `qid`, `docno` and `score`. Scores are ordered as
    trec_eval orders them; a `Batch` keeps its own order.

    Measures are mrr, mrr@K, recall@K, p@K, ndcg, ndcg@K, map, map@K. Grades from `level` on are
    relevant. Means are over the queries that are judged and in the run; under `complete`, judged
    ones that the run lacks count as 0.

    Raises:
        splindex.UsageError: an unknown measure.
        splindex.DataError: no judged query in the run, a score that is not finite, a bad file.

    >>> import splindex
    >>> qrels = {"q1": {"a": 1, "b": 0}, "q2": {"c": 2}}
    >>> splindex.evaluate(qrels, {"q1": {"b": 2.0, "a": 1.0}, "q2": {"c": 0.5}}, ["mrr@10"])
    Evaluation(mrr@10 0.7500; 2 queries)
    """
    names = [measures] if isinstance(measures, str) else list(measures)
    told = _engine.evaluate(_frames.qrels(qrels), _frames.run(run), names, level, complete)
    return Evaluation(**told)


def compare(
    qrels: Any,
    base: Any,
    other: Any,
    measures: Sequence[str] = DEFAULT,
    *,
    level: int = 1,
    complete: bool = False,
    trials: int = 100_000,
    seed: int = 1,
) -> list[Comparison]:
    """Compares the run `other` with `base`, measure by measure: means, queries won and lost, and
    the p value of Fisher's paired randomisation test (`trials` random sign changes drawn from
    `seed`; all of them for up to 16 queries that differ). Arguments and errors are those of
    `evaluate`.

    >>> import splindex
    >>> qrels = {"q1": {"a": 1}, "q2": {"c": 1}}
    >>> worse, better = {"q1": ["b", "a"], "q2": ["c"]}, {"q1": ["a"], "q2": ["c"]}
    >>> found = splindex.compare(qrels, worse, better, ["mrr"])[0]
    >>> found.base, found.other, found.wins, found.ties
    (0.75, 1.0, 1, 1)
    """
    names = [measures] if isinstance(measures, str) else list(measures)
    runs = _frames.run(base), _frames.run(other)
    rows = _engine.compare(_frames.qrels(qrels), *runs, names, level, complete, trials, seed)
    return [Comparison(*row) for row in rows]
