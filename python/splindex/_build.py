"""Building, merging and converting."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Union

from . import _engine, _inputs
from ._engine import Index
from ._progress import Progress

StrPath = Union[str, "os.PathLike[str]"]


def build(
    vectors: Any,
    output: StrPath | None = None,
    *,
    ids: Any = None,
    vocabulary: Any = None,
    order: Any = "input",
    codec: str = "fast",
    bits: int = 8,
    scale: str | float = "auto",
    skip_data: bool = False,
    top_per_doc: int | None = None,
    min_impact: int | None = None,
    attributes: Any = None,
    attribute_fields: Iterable[str] = (),
    memory: str | int | None = None,
    tmp: StrPath | None = None,
    threads: int | None = None,
    progress: Progress = True,
) -> Index:
    """Builds an index of sparse vectors and opens it: at `output`, else in memory.

    `vectors` is one of

    - an iterable of `(id, {token: weight})`, or a dict of them;
    - a SciPy sparse matrix, a torch sparse tensor (or a list of one-dimensional ones, as
      SparseEncoder gives), `Vectors` of an `Encoder`, or the arrays `(indptr, indices, data)`; with
      `ids`, one a row (default: row numbers), and `vocabulary`, a token a column (a list, a dict
      `{token: column}` or a tokenizer; default: column numbers);
    - a path, or a list of `pathlib.Path`: JsonVectorCollection, CIFF, `.npz`, `.csr`, a vector
      store; `ids` and `vocabulary` are then files, too.

    Weights are 0 or more and become integer impacts of `bits` bits: `scale` is the weight that maps
    to the largest one, by default that of the data (integers up to 255 stay as they are). Zeros are
    dropped and counted in `index.statistics`.

    `order` is "input", "bp" (like documents together: smaller) or a permutation of the ordinals;
    `codec` is "fast" or "small"; `skip_data` adds what the algorithm "block_pruned" needs.
    `top_per_doc` and `min_impact` leave postings out. `attributes` are values of documents that a
    `filter` asks for: an iterable of `(id, {key: value})`, a dict of them, or the path of a file (JSON
    Lines, TSV); values are str, lists of str, int, float, bool or datetime, and None is none.
    `attribute_fields` names fields of JSON Lines files of documents instead. What does not fit into `memory` ("8GiB"; half
    of the machine's by default) goes to temporary files in `tmp`. Results never depend on `memory`
    or `threads`. `progress` shows a bar where there is a terminal or a notebook, or calls a
    function with phase, done and total. Ctrl-C stops a build; nothing half-written is left.

    Raises:
        splindex.DataError: a weight that is negative or not finite, a repeated token or id, a
            damaged file.
        splindex.MissingFileError: a file that is not there (a `FileNotFoundError`).
        splindex.SettingError: a keyword out of its range, ids of another number than rows.

    >>> import splindex
    >>> index = splindex.build([("d1", {"whale": 2.0, "sea": 0.5}), ("d2", {"whale": 1.2, "ship": 1.9})])
    >>> index.search({"whale": 1.0, "ship": 0.6}).ids.tolist()
    ['d2', 'd1']

    The same from arrays:

    >>> import numpy as np
    >>> arrays = np.array([0, 2, 4]), np.array([0, 1, 0, 2]), np.array([2.0, 0.5, 1.2, 1.9])
    >>> same = splindex.build(arrays, ids=["d1", "d2"], vocabulary=["whale", "sea", "ship"])
    >>> same.content_id == index.content_id
    True

    >>> about = {"d1": {"year": 1851}, "d2": {"year": 1920}}
    >>> index = splindex.build([("d1", {"whale": 2.0}), ("d2", {"whale": 1.2})], attributes=about)
    >>> index.search({"whale": 1.0}, filter="year >= 1900").ids.tolist()
    ['d2']
    """
    settings = _settings(
        order, codec, bits, scale, skip_data, top_per_doc, min_impact, memory, tmp, threads, None
    )
    normal = _inputs.vectors(vectors, ids, vocabulary)
    about = _inputs.attributes(attributes, attribute_fields, vectors)
    return _engine.build(normal, None, output, settings, progress, about)


def build_bm25(
    texts: Any,
    output: StrPath | None = None,
    *,
    ids: Any = None,
    k1: float = 0.9,
    b: float = 0.4,
    avgdl: str | float = "auto",
    stemmer: str = "english",
    stopwords: str = "english",
    fields: str | None = None,
    order: Any = "input",
    codec: str = "fast",
    skip_data: bool = False,
    attributes: Any = None,
    attribute_fields: Iterable[str] = (),
    memory: str | int | None = None,
    tmp: StrPath | None = None,
    threads: int | None = None,
    progress: Progress = True,
) -> Index:
    """Builds a BM25 index of texts and opens it: at `output`, else in memory.

    `texts` is an iterable of `(id, text)`, of ir_datasets' documents or of dicts with `docno` and
    `text`; a dict `{id: text}`; a frame of pandas or pyarrow with columns `docno` and `text`; a
    column or list of texts with their `ids`; or the path of a TSV or JSON Lines file (`fields`
    names its columns). BM25 is Lucene's: term frequency saturates by `k1`, `b` normalises by length
    over `avgdl` tokens (by default the mean), `stemmer` and `stopwords` are "english" or "none".
    Other keywords are those of `build`, and so are the errors.

    >>> import splindex
    >>> index = splindex.build_bm25([("a", "the blue whale"), ("b", "a red ship")])
    >>> list(index.search("Whales!"))
    [('a', 9246)]
    """
    settings = _settings(
        order, codec, 8, "auto", skip_data, None, None, memory, tmp, threads,
        _bm25(k1, b, avgdl, stemmer, stopwords),
    )  # fmt: skip
    records = _inputs.text_records(texts, ids, fields)
    about = _inputs.attributes(attributes, attribute_fields, texts)
    return _engine.build(None, records, output, settings, progress, about)


def build_hybrid(
    vectors: Any,
    texts: Any,
    output: StrPath | None = None,
    *,
    ids: Any = None,
    vocabulary: Any = None,
    k1: float = 0.9,
    b: float = 0.4,
    avgdl: str | float = "auto",
    stemmer: str = "english",
    stopwords: str = "english",
    fields: str | None = None,
    order: Any = "input",
    codec: str = "fast",
    bits: int = 8,
    scale: str | float = "auto",
    skip_data: bool = False,
    top_per_doc: int | None = None,
    min_impact: int | None = None,
    attributes: Any = None,
    attribute_fields: Iterable[str] = (),
    memory: str | int | None = None,
    tmp: StrPath | None = None,
    threads: int | None = None,
    progress: Progress = True,
) -> Index:
    """Builds an index of learned vectors and of BM25, the same documents in the same order, and
    opens it. Its scores are BM25 + h · learned; h is `hybrid_weight` of `Index.open` and
    `index.with_queries`, 0.5 by default. `vectors` are as `build` takes them, `texts` as
    `build_bm25`; a list of texts without ids takes `ids`. Pruning and `scale` are about the
    vectors.

    Raises also `splindex.DataError` for other ids, or another number of them, in the texts than in
    the vectors.

    >>> import splindex
    >>> vectors = [("a", {"whale": 2.0}), ("b", {"boat": 1.5})]
    >>> index = splindex.build_hybrid(vectors, [("a", "the blue whale"), ("b", "a red ship")])
    >>> index.search(splindex.Parts({"boat": 1.0}, "blue ship")).ids.tolist()
    ['b', 'a']
    """
    settings = _settings(
        order, codec, bits, scale, skip_data, top_per_doc, min_impact, memory, tmp, threads,
        _bm25(k1, b, avgdl, stemmer, stopwords),
    )  # fmt: skip
    matrix = _inputs.vectors(vectors, ids, vocabulary)
    own = ids if _inputs.needs_ids(texts) else None
    records = _inputs.text_records(texts, own, fields)
    about = _inputs.attributes(attributes, attribute_fields, vectors, texts)
    return _engine.build(matrix, records, output, settings, progress, about)


def merge(
    indexes: Iterable[StrPath],
    output: StrPath,
    *,
    order: str = "concat",
    memory: str | int | None = None,
    threads: int | None = None,
    progress: Progress = True,
) -> Index:
    """Joins index files of the parts of a collection into one at `output`, with the results of
    one build, and opens it. The parts must have been built alike, with one `scale`. `order` is
    "concat" (the parts as they are) or "bp" (all documents ordered anew).

    Raises:
        splindex.DataError: parts that do not belong together, an id in two parts, a damaged part.

    >>> import splindex, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     parts = [f"{folder}/0.spx", f"{folder}/1.spx"]
    ...     for name, part in zip("ab", parts):
    ...         splindex.build([(name, {"whale": 1.0})], part, scale=2.0).close()
    ...     list(splindex.merge(parts, f"{folder}/all.spx").ids)
    ['a', 'b']
    """
    paths = [os.fspath(path) for path in indexes]
    settings = {"order": order, "memory": memory, "threads": threads}
    return _engine.merge(paths, output, settings, progress)


def convert(
    vectors: StrPath | Iterable[StrPath],
    output: StrPath,
    *,
    to: str | None = None,
    ids: StrPath | None = None,
    vocabulary: StrPath | None = None,
    scale: str | float = "auto",
    bits: int = 8,
    field: str | None = None,
    tmp: StrPath | None = None,
    threads: int | None = None,
    progress: Progress = True,
) -> dict[str, Any]:
    """Converts files of vectors, stores, or one index (of which a `field` may be chosen) to another
    format: `to` is "jsonl", "ciff", "npz", "csr", "pisa" or "store", by default told by the name of
    `output`. `scale` and `bits` make whole numbers for CIFF and PISA. Gives `documents`,
    `postings`, `zero_weights` (dropped), `scale` and `beside`, the files written beside the output.

    Raises:
        splindex.DataError: an input that is damaged or of no known format, an output in the way.
    """
    given = [vectors] if isinstance(vectors, (str, os.PathLike)) else vectors
    paths = [os.fspath(path) for path in given]
    settings = {
        "to": to,
        "ids": ids,
        "vocabulary": vocabulary,
        "scale": scale,
        "bits": bits,
        "field": field,
        "tmp": tmp,
        "threads": threads,
    }
    return _engine.convert(paths, output, settings, progress)


def _bm25(
    k1: float, b: float, avgdl: str | float, stemmer: str, stopwords: str
) -> dict[str, Any]:
    return {"k1": k1, "b": b, "avgdl": avgdl, "stemmer": stemmer, "stopwords": stopwords}


def _settings(
    order: Any,
    codec: str,
    bits: int,
    scale: str | float,
    skip_data: bool,
    top_per_doc: int | None,
    min_impact: int | None,
    memory: str | int | None,
    tmp: StrPath | None,
    threads: int | None,
    bm25: dict[str, Any] | None,
) -> dict[str, Any]:
    return {
        "order": _inputs.permutation(order),
        "codec": codec,
        "bits": bits,
        "scale": scale,
        "skip_data": skip_data,
        "top_per_doc": top_per_doc,
        "min_impact": min_impact,
        "memory": memory,
        "tmp": tmp,
        "bm25": bm25,
        "shard": None,
        "threads": threads,
    }
