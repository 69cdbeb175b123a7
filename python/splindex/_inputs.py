"""What users have, as what the engine takes: duck-typed, so that NumPy is all that is needed.

A path or a list of paths becomes a dict of paths, a matrix a dict of arrays, anything else an
iterator of pairs.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ._errors import SettingError, UsageError
from ._vectors import Vectors


def is_path(given: Any) -> bool:
    """Whether it names a file."""
    return isinstance(given, (str, os.PathLike))


def _paths(given: Any) -> list[str] | None:
    if is_path(given):
        return [os.fspath(given)]
    if isinstance(given, (list, tuple)) and given and all(isinstance(p, os.PathLike) for p in given):
        return [os.fspath(path) for path in given]
    return None


def vectors(given: Any, ids: Any, vocabulary: Any) -> Any:
    """Documents for `build`."""
    paths = _paths(given)
    if paths is not None:
        return {
            "paths": paths,
            "ids": _file("ids", ids),
            "vocabulary": _file("vocabulary", vocabulary),
        }
    matrix = _matrix(given, ids, vocabulary)
    if matrix is not None:
        return matrix
    _unused(ids=ids, vocabulary=vocabulary)
    return _iterator(given.items() if isinstance(given, Mapping) else given, "vectors")


def queries(given: Any, ids: Any, vocabulary: Any) -> Any:
    """Queries for `search_batch`: a path, a matrix, or pairs of id and query."""
    if is_path(given):
        _unused(ids=ids, vocabulary=vocabulary)
        return os.fspath(given)
    matrix = _matrix(given, ids, vocabulary)
    if matrix is not None:
        return matrix
    _unused(vocabulary=vocabulary)
    if _is_frame(given):
        _unused(ids=ids)
        text = _column(given, "query_toks", "query", "text")
        return zip(_ids(_column(given, "qid", "query_id", "id")), text)
    if isinstance(given, Mapping):
        _unused(ids=ids)
        return ((_id(name), query) for name, query in given.items())
    given = list(_iterator(given, "queries"))
    if ids is None and all(isinstance(item, tuple) and len(item) == 2 for item in given):
        return ((_id(name), query) for name, query in given)
    names = [str(row) for row in range(len(given))] if ids is None else _ids(ids)
    _same_length(names, len(given), "queries")
    return zip(names, given)


def texts(given: Any) -> tuple[Iterator[Any], int]:
    """Texts without ids, and how many there are; 0 if that is not known."""
    if is_path(given):
        raise UsageError("expected an iterable of texts, found one str; put it into a list")
    if isinstance(given, Mapping):
        raise UsageError("expected an iterable of texts, found a mapping; give its values")
    return _iterator(_cells(given), "texts"), _length(given)


def text_records(given: Any, ids: Any, fields: str | None) -> Any:
    """Texts with ids: paths, or an iterator of pairs."""
    paths = _paths(given)
    if paths is not None:
        _unused(ids=ids)
        return {"paths": paths, "fields": fields}
    _unused(fields=fields)
    if _is_frame(given):
        _unused(ids=ids)
        columns = _column(given, "text", "contents", "body")
        return zip(_ids(_column(given, "docno", "doc_id", "id")), iter(_cells(columns)))
    if ids is not None:
        names = _ids(ids)
        cells = _cells(given)
        length = _length(given)
        if length:
            _same_length(names, length, "texts")
        return _together(names, _iterator(cells, "texts"))
    if isinstance(given, Mapping):
        return ((_id(name), text) for name, text in given.items())
    return map(_record, _iterator(given, "texts"))


def attributes(given: Any, fields: Iterable[str], *documents: Any) -> Any:
    """Attributes of documents: paths; files of documents with names of their fields; and pairs of an
    id and pairs of a key and a value."""
    names = [fields] if isinstance(fields, str) else list(fields)
    lines = [path for part in documents for path in _paths(part) or [] if _is_json_lines(path)]
    if names and not lines:
        raise UsageError("`attribute_fields` needs documents in JSON Lines files (.jsonl)")
    of_documents = (lines, names) if names else None
    if given is None:
        return (([], of_documents, [])) if names else None
    paths = _paths(given)
    if paths is not None:
        return (paths, of_documents, [])
    pairs = given.items() if isinstance(given, Mapping) else _iterator(given, "attributes")
    return ([], of_documents, [_attributes_of(number, pair) for number, pair in enumerate(pairs, 1)])


def _is_json_lines(path: str) -> bool:
    name = path.lower().removesuffix(".gz").removesuffix(".zst")
    return name.endswith((".jsonl", ".json", ".ndjson"))


def _attributes_of(number: int, pair: Any) -> tuple[str, list[tuple[str, Any]]]:
    if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[1], Mapping)):
        raise UsageError(
            f"record {number} of `attributes`: expected (id, {{key: value}}), found {type(pair).__name__}"
        )
    values = ((str(key), _attribute(value)) for key, value in pair[1].items())
    return _id(pair[0]), [(key, value) for key, value in values if value is not None and value != []]


def _attribute(value: Any) -> Any:
    """A value as the engine takes it: times as RFC 3339 (without an offset, in UTC); None and NaN
    are none."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, (tuple, set, frozenset, np.ndarray)):
        return sorted(value) if isinstance(value, (set, frozenset)) else list(value)
    if isinstance(value, datetime.datetime):
        utc = value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)
        return utc.isoformat()
    return value.isoformat() if isinstance(value, datetime.date) else value


def count(given: Any) -> int:
    """How many there are; 0 if that is not known."""
    return 0 if _paths(given) is not None else _length(given)


def permutation(order: Any) -> Any:
    """A document order: a name, or ordinals."""
    if isinstance(order, str):
        return order
    given = np.asarray(order)
    if given.ndim != 1 or given.dtype.kind not in "iu" or (given.size and given.min() < 0):
        raise SettingError(
            "`order` must be \"input\", \"bp\" or a permutation of the ordinals, found "
            f"{_described(given)}",
            setting="order",
        )
    return given.tolist()


def _record(item: Any) -> Any:
    """A pair of id and text, of the shapes that collections have: pairs, ir_datasets' records,
    dicts. What is none is left for the engine, which knows its number."""
    if isinstance(item, tuple) and len(item) == 2:
        return (_id(item[0]), item[1])
    if hasattr(item, "doc_id"):
        text = item.default_text() if hasattr(item, "default_text") else getattr(item, "text", None)
        return (_id(item.doc_id), text)
    if isinstance(item, Mapping):
        name = next((item[key] for key in ("docno", "doc_id", "id", "_id") if key in item), None)
        parts = [item[key] for key in ("title", "text", "contents") if item.get(key)]
        if name is not None and (parts or any(key in item for key in ("text", "contents"))):
            return (_id(name), " ".join(parts))
    return item


def _together(names: list[str], cells: Iterator[Any]) -> Iterator[tuple[str, Any]]:
    """Pairs of an iterator whose length is known at its end only."""
    number = 0
    for number, (name, text) in enumerate(zip(names, cells), 1):
        yield name, text
    if number < len(names) or next(cells, None) is not None:
        raise UsageError(
            f"`ids` and texts must be equally many, found {len(names)} ids and "
            f"{'more' if number == len(names) else number} texts"
        )


def _matrix(given: Any, ids: Any, vocabulary: Any) -> dict[str, Any] | None:
    if isinstance(given, Vectors):
        tokens = given.vocabulary if vocabulary is None else vocabulary
        return _rows(given.indptr, given.indices, given.data, len(given.vocabulary), ids, tokens)
    if hasattr(given, "tocsr"):
        csr = given.tocsr()
        return _rows(csr.indptr, csr.indices, csr.data, csr.shape[1], ids, vocabulary)
    if hasattr(given, "to_sparse_csr"):
        return _tensor(given, ids, vocabulary)
    if isinstance(given, list) and given and all(hasattr(t, "to_sparse_csr") for t in given):
        return _tensors(given, ids, vocabulary)
    if isinstance(given, tuple) and len(given) == 3 and all(hasattr(a, "dtype") for a in given):
        indptr, indices, data = given
        return _rows(indptr, indices, data, None, ids, vocabulary)
    if isinstance(given, np.ndarray):
        raise UsageError(
            f"expected a sparse matrix, found {_described(given)}; make it one with "
            "scipy.sparse.csr_matrix(array), or give (indptr, indices, data)"
        )
    return None


def _tensor(tensor: Any, ids: Any, vocabulary: Any) -> dict[str, Any]:
    if tensor.ndim == 1:
        return _tensors([tensor], ids, vocabulary)
    csr = tensor.detach().cpu().to_sparse_csr()
    arrays = (csr.crow_indices().numpy(), csr.col_indices().numpy(), csr.values().float().numpy())
    return _rows(*arrays, tensor.shape[1], ids, vocabulary)


def _tensors(tensors: Sequence[Any], ids: Any, vocabulary: Any) -> dict[str, Any]:
    """One-dimensional tensors, a row each."""
    rows = [tensor.detach().cpu().to_sparse().coalesce() for tensor in tensors]
    indices = [row.indices()[0].numpy() for row in rows]
    data = [row.values().float().numpy() for row in rows]
    indptr = np.cumsum([0] + [len(row) for row in data])
    columns = max(tensor.shape[0] for tensor in tensors)
    return _rows(indptr, np.concatenate(indices), np.concatenate(data), columns, ids, vocabulary)


def _rows(
    indptr: Any, indices: Any, data: Any, columns: int | None, ids: Any, vocabulary: Any
) -> dict[str, Any]:
    indptr = _array("indptr", indptr, "iu")
    indices = _array("indices", indices, "iu")
    data = _array("data", data, "fiu")
    if columns is None and hasattr(vocabulary, "__len__"):
        columns = len(vocabulary)
    elif columns is None:
        columns = int(indices.max()) + 1 if indices.size else 0
    if indices.dtype not in (np.int32, np.int64):
        indices = indices.astype(np.int64)
    rows = max(len(indptr) - 1, 0)
    return {
        "ids": [str(row) for row in range(rows)] if ids is None else _ids(ids),
        "vocabulary": _tokens(vocabulary, columns),
        "indptr": np.ascontiguousarray(indptr, dtype=np.int64),
        "indices": np.ascontiguousarray(indices),
        "data": np.ascontiguousarray(data, dtype=np.float32),
    }


def _array(name: str, given: Any, kinds: str) -> Any:
    array = np.asarray(given)
    if array.ndim != 1 or array.dtype.kind not in kinds:
        expected = "integers" if kinds == "iu" else "numbers"
        raise UsageError(f"{name}: expected one dimension of {expected}, found {_described(array)}")
    return array


def _described(array: Any) -> str:
    what = "objects" if array.dtype == object else str(array.dtype)
    return f"{array.ndim} dimensions of {what}" if array.ndim != 1 else f"an array of {what}"


def _tokens(vocabulary: Any, columns: int) -> list[str]:
    """The token of each column; columns are their own names if there is no vocabulary."""
    if vocabulary is None:
        return [str(column) for column in range(columns)]
    if hasattr(vocabulary, "get_vocab"):  # a tokenizer
        vocabulary = vocabulary.get_vocab()
    if is_path(vocabulary):
        raise UsageError("`vocabulary` of a matrix in memory is a list of tokens, found a path")
    if isinstance(vocabulary, Mapping):
        # Models may have more columns than tokens: rows of padding.
        tokens = [f"[column {column}]" for column in range(columns)]
        for token, column in vocabulary.items():
            if not 0 <= column < columns:
                raise UsageError(
                    f"`vocabulary` has token {token!r} at column {column}, and the matrix has "
                    f"{columns} columns"
                )
            tokens[column] = token
        return tokens
    tokens = list(_cells(vocabulary))
    wrong = next((token for token in tokens if not isinstance(token, str)), None)
    if wrong is not None:
        raise UsageError(f"`vocabulary` must hold str, found {type(wrong).__name__}")
    if len(tokens) != columns:
        raise UsageError(
            f"`vocabulary` must have a token a column, {columns}, found {len(tokens)}"
        )
    return tokens


def _ids(ids: Any) -> list[str]:
    if is_path(ids):
        raise UsageError("`ids` of what is in memory is a list, found a path")
    return [_id(name) for name in _cells(ids)]


def _id(name: Any) -> str:
    """Ids are texts; whole numbers are written as such."""
    if isinstance(name, str):
        return name
    if isinstance(name, (int, np.integer)) and not isinstance(name, bool):
        return str(name)
    raise UsageError(f"expected str (or whole numbers) as ids, found {type(name).__name__}")


def _cells(column: Any) -> Iterable[Any]:
    """Values of a list, an array, or a column of pandas or pyarrow."""
    if hasattr(column, "iterchunks"):  # pyarrow's ChunkedArray
        return (cell for chunk in column.iterchunks() for cell in chunk.to_pylist())
    if hasattr(column, "to_pylist"):  # pyarrow's Array
        return column.to_pylist()  # type: ignore[no-any-return]
    return column  # type: ignore[no-any-return]


def _is_frame(given: Any) -> bool:
    return hasattr(given, "columns") and hasattr(given, "__getitem__")


def _column(frame: Any, *names: str) -> Any:
    columns = frame.column_names if hasattr(frame, "column_names") else list(frame.columns)
    found = next((name for name in names if name in columns), None)
    if found is None:
        raise UsageError(f"expected a column {' or '.join(names)}, found {', '.join(map(str, columns))}")
    return frame[found]


def _iterator(given: Any, what: str) -> Iterator[Any]:
    try:
        return iter(given)
    except TypeError:
        raise UsageError(f"expected {what} or the path of a file, found {type(given).__name__}") from None


def _length(given: Any) -> int:
    return len(given) if hasattr(given, "__len__") else 0


def _same_length(names: Sequence[str], found: int, what: str) -> None:
    if len(names) != found:
        raise SettingError(
            f"`ids` must be {found} ids, one for each of the {what}, found {len(names)}",
            setting="ids",
        )


def _file(name: str, given: Any) -> str | None:
    if given is None or is_path(given):
        return None if given is None else os.fspath(given)
    raise UsageError(f"`{name}` of a file is a file, too, found {type(given).__name__}")


def _unused(**given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            raise UsageError(f"`{name}` does not go with what was given: it has its own")


def needs_ids(texts: Any) -> bool:
    """Whether texts are a column or list without ids."""
    if hasattr(texts, "to_pylist") or hasattr(texts, "iloc") and not _is_frame(texts):
        return True
    return isinstance(texts, (list, np.ndarray)) and len(texts) > 0 and isinstance(texts[0], str)
