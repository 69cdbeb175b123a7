"""splindex in PyTerrier 1.0 pipelines, without Java.

>>> import pyterrier as pt
>>> import splindex.pyterrier
>>> indexer = splindex.pyterrier.Indexer()
>>> index = indexer.index([{"docno": "a", "text": "the blue whale"}, {"docno": "b", "text": "a ship"}])
>>> retriever = splindex.pyterrier.Retriever(index)
>>> (retriever % 1).search("whales")["docno"].tolist()
['a']
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from typing import Any, Union

import numpy as np
import pandas as pd
import pyterrier as pt

from ._build import build, build_bm25, build_hybrid
from ._engine import Index, Parts
from ._errors import UsageError

__all__ = ["Indexer", "Retriever", "Scorer"]

StrPath = Union[str, "os.PathLike[str]"]


def _opened(index: Index | StrPath) -> Index:
    return index if isinstance(index, Index) else Index.open(index)


def _questions(index: Index, inp: pd.DataFrame) -> list[Any]:
    """What a frame asks: its `query_toks`, else its `query`, or both of a hybrid index."""
    toks, text = ("query_toks" in inp.columns), ("query" in inp.columns)
    if len(index.fields) == 2 and toks and text:
        return [Parts(t, q) for t, q in zip(inp["query_toks"], inp["query"])]
    return list(inp["query_toks" if toks else "query"])


def _check(inp: pd.DataFrame, context: pt.Transformer, documents: bool) -> None:
    with pt.validate.any(inp, context=context) as v:
        frame = v.result_frame if documents else v.query_frame
        frame(extra_columns=["query_toks"], mode="query_toks")
        frame(extra_columns=["query"], mode="query")


class Retriever(pt.Transformer):  # type: ignore[misc]
    """Retrieves for `query` (BM25, or through the index's query model) or for `query_toks`
    (`{token: weight}`, as learned sparse query encoders give; both for a hybrid index).

    Scores are float scores of the index; they fall strictly down a list, so that ties stay in
    splindex's order wherever they are sorted.
    """

    def __init__(
        self,
        index: Index | StrPath,
        *,
        num_results: int = 1000,
        algorithm: str = "auto",
        threads: int | None = None,
        query_scale: float = 100.0,
    ) -> None:
        self.index = _opened(index)
        self.num_results = num_results
        self.algorithm = algorithm
        self.threads = threads
        self.query_scale = query_scale

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        _check(inp, self, documents=False)
        topics = inp.drop(columns=[c for c in ("docno", "score", "rank") if c in inp.columns])
        topics = topics.drop_duplicates("qid").reset_index(drop=True)
        batch = self.index.search_batch(
            list(zip(topics["qid"], _questions(self.index, topics))),
            k=self.num_results,
            threads=self.threads,
            algorithm=self.algorithm,
            query_scale=self.query_scale,
        )
        counts = np.diff(batch.offsets)
        starts = np.repeat(batch.offsets[:-1], counts)
        rows = topics.iloc[np.repeat(np.arange(len(topics)), counts)].reset_index(drop=True)
        ranks = np.arange(len(starts)) - starts
        return rows.assign(docno=batch.ids, score=batch.falling_scores.astype(float), rank=ranks)

    def fuse_rank_cutoff(self, k: int) -> Retriever:
        """What `retriever % k` is: a search for fewer results."""
        if k >= self.num_results:
            return self
        return Retriever(
            self.index,
            num_results=k,
            algorithm=self.algorithm,
            threads=self.threads,
            query_scale=self.query_scale,
        )

    def __repr__(self) -> str:
        return f"splindex.pyterrier.Retriever({self.index!r}, num_results={self.num_results})"


class Scorer(pt.Transformer):  # type: ignore[misc]
    """Gives the documents of a frame (`qid`, `docno` and `query` or `query_toks`) their exact
    scores for the index, and ranks by them: a reranker, or a feature in a pipeline with `**`.

    Raises `splindex.UnknownIdError` for a document that the index does not have.
    """

    def __init__(self, index: Index | StrPath) -> None:
        self.index = _opened(index)

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        _check(inp, self, documents=True)
        out = inp.reset_index(drop=True)
        scores = np.zeros(len(out))
        for rows in out.groupby("qid", sort=False).indices.values():
            group = out.iloc[rows]
            question = _questions(self.index, group.iloc[:1])[0]
            scores[rows] = self.index.score(question, group["docno"]).float_scores
        return pt.model.add_ranks(out.assign(score=scores))

    def __repr__(self) -> str:
        return f"splindex.pyterrier.Scorer({self.index!r})"


class Indexer(pt.Indexer):  # type: ignore[misc]
    """Builds an index of dicts: `docno` with `toks` (`{token: weight}`, as learned sparse
    encoders give), or with `text` for BM25, or a hybrid index of both where `hybrid=True`.
    Goes to `path`, else into memory; other keywords are those of `splindex.build`,
    `build_bm25` or `build_hybrid`. `index` gives the open index.
    """

    def __init__(self, path: StrPath | None = None, *, hybrid: bool = False, **settings: Any) -> None:
        self.path = path
        self.hybrid = hybrid
        self.settings = settings

    def index_inputs(self) -> list[list[str]]:
        """Columns that documents have."""
        return [["docno", "toks", "text"]] if self.hybrid else [["docno", "toks"], ["docno", "text"]]

    def index(self, iter: Iterable[dict[str, Any]], **kwargs: Any) -> Index:
        """Reads the documents to their end and builds."""
        documents = iter.__iter__()
        first = next(documents, None)
        if first is None:
            raise UsageError("expected documents to index, found none")
        documents = itertools.chain([first], documents)
        if self.hybrid:
            learned, texts = itertools.tee(documents)
            vectors = ((d["docno"], d["toks"]) for d in learned)
            return build_hybrid(vectors, _texts(texts), self.path, **self.settings)
        if "toks" in first:
            return build(((d["docno"], d["toks"]) for d in documents), self.path, **self.settings)
        return build_bm25(_texts(documents), self.path, **self.settings)

    def __repr__(self) -> str:
        return f"splindex.pyterrier.Indexer({self.path!r})"


def _texts(documents: Iterable[dict[str, Any]]) -> Iterable[tuple[str, str]]:
    return ((d["docno"], d["text"]) for d in documents)
