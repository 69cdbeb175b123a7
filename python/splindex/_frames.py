"""Runs and judgements of users: dicts, pandas frames, ir_datasets' records, files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ._engine import Batch
from ._errors import UsageError
from ._inputs import _column, _id, _is_frame, is_path


def of_batch(batch: Batch) -> Any:
    """`Batch.to_pandas`."""
    import pandas as pd

    offsets = batch.offsets
    counts = np.diff(offsets)
    starts = np.repeat(offsets[:-1], counts)
    return pd.DataFrame(
        {
            "qid": np.repeat(np.array(batch.queries, dtype=object), counts),
            "docno": batch.ids,
            "rank": np.arange(len(starts)) - starts,
            "score": batch.falling_scores.astype(float),
            "integer_score": batch.scores,
            "ordinal": batch.ordinals,
        }
    )


def qrels(given: Any) -> Any:
    """Judgements for the engine."""
    if is_path(given):
        return os.fspath(given)
    if isinstance(given, Mapping):
        pairs = ((query, grades.items()) for query, grades in given.items())
        return [(_id(query), [(_id(d), _grade(g)) for d, g in grades]) for query, grades in pairs]
    grouped: dict[str, list[tuple[str, int]]] = {}
    for query, document, grade in _triples(given, "label", "relevance", "grade"):
        grouped.setdefault(_id(query), []).append((_id(document), _grade(grade)))
    return list(grouped.items())


def run(given: Any) -> Any:
    """A run for the engine."""
    if isinstance(given, Batch):
        return given
    if is_path(given):
        return os.fspath(given)
    if isinstance(given, Mapping):
        return [(_id(query), _documents(documents)) for query, documents in given.items()]
    grouped: dict[str, list[tuple[str, float]]] = {}
    for query, document, score in _triples(given, "score"):
        grouped.setdefault(_id(query), []).append((_id(document), float(score)))
    return list(grouped.items())


def _documents(documents: Any) -> Any:
    if isinstance(documents, Mapping):
        return [(_id(document), float(score)) for document, score in documents.items()]
    return [_id(document) for document in documents]


def _grade(grade: Any) -> int:
    if grade != int(grade):
        raise UsageError(f"expected whole numbers as grades, found {grade!r}")
    return int(grade)


def _triples(given: Any, *values: str) -> Any:
    """Query, document and value of a frame's rows, or of records such as ir_datasets'."""
    if _is_frame(given):
        columns = (
            _column(given, "qid", "query_id"),
            _column(given, "docno", "doc_id"),
            _column(given, *values),
        )
        return zip(*(column.tolist() for column in columns))
    return (_triple(item, values) for item in given)


def _triple(item: Any, values: tuple[str, ...]) -> tuple[Any, Any, Any]:
    value = next((name for name in values if hasattr(item, name)), None)
    if value is None or not hasattr(item, "query_id"):
        raise UsageError(
            "expected a path, a dict, a frame, or records with query_id, doc_id and "
            f"{values[0]}, found {type(item).__name__}"
        )
    return item.query_id, item.doc_id, getattr(item, value)
