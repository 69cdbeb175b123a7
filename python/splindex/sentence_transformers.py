"""splindex with sentence-transformers' SparseEncoder: its output goes into `splindex.build` and
`search_batch` as it is, with `vocabulary=model.tokenizer`; these helpers save that.

    model = SparseEncoder("naver/splade-v3")
    index = splindex.sentence_transformers.build(model, passages, ids=ids)
    queries = splindex.sentence_transformers.encode_queries(model, questions)
    index.search_batch(queries, k=10)

`splindex.Encoder` reads the same folders without torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import _inputs
from ._build import build as _build
from ._engine import Index
from ._vectors import Vectors

__all__ = ["build", "encode_documents", "encode_queries", "vectors"]


def vectors(embeddings: Any, model: Any) -> Vectors:
    """A SparseEncoder's embeddings (a sparse tensor, or a list of rows) as `Vectors` over its
    tokens."""
    matrix = _inputs.vectors(embeddings, None, model.tokenizer)
    return Vectors(matrix["indptr"], matrix["indices"], matrix["data"], matrix["vocabulary"])


def encode_documents(model: Any, texts: Sequence[str], **options: Any) -> Vectors:
    """Document vectors by the model; `options` are those of `model.encode_document`."""
    return vectors(model.encode_document(list(texts), **options), model)


def encode_queries(model: Any, texts: Sequence[str], **options: Any) -> Vectors:
    """Query vectors by the model; `options` are those of `model.encode_query`."""
    return vectors(model.encode_query(list(texts), **options), model)


def build(
    model: Any,
    texts: Sequence[str],
    output: Any = None,
    *,
    ids: Any = None,
    options: dict[str, Any] | None = None,
    **settings: Any,
) -> Index:
    """Encodes texts by the model and builds an index of them; `settings` are keywords of
    `splindex.build`, `options` those of `model.encode_document`."""
    return _build(encode_documents(model, texts, **(options or {})), output, ids=ids, **settings)
