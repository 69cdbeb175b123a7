"""A Ray Dataset as numbered blocks of equally many rows, whatever blocks Ray has made of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Any

import ray
import ray.data

from .._errors import DataError, SettingError


class Columns:
    """Which columns are ids and texts, and what becomes of rows that lack them."""

    def __init__(self, id_column: str, text_column: str, on_bad: str) -> None:
        if on_bad not in ("error", "skip"):
            raise SettingError(
                f'`on_bad` must be "error" or "skip", found {on_bad!r}', setting="on_bad"
            )
        self.id, self.text, self.on_bad = id_column, text_column, on_bad

    def rows(self, block: Any) -> tuple[list[str], list[str], int, tuple[int, str] | None]:
        """Ids and texts of the good rows, the number of bad ones, and the first of those (its row from
        0, and what is wrong)."""
        table = _arrow(block)
        for name in (self.id, self.text):
            if name not in table.column_names:
                found = ", ".join(table.column_names)
                raise DataError(f"expected a column {name!r}, found {found}", path="<dataset>")
        ids: list[str] = []
        texts: list[str] = []
        bad, first = 0, None
        pairs = zip(table[self.id].to_pylist(), table[self.text].to_pylist())
        for row, (name, text) in enumerate(pairs):
            if isinstance(name, int) and not isinstance(name, bool):
                name = str(name)
            if isinstance(name, str) and name and isinstance(text, str):
                ids.append(name)
                texts.append(text)
                continue
            bad += 1
            if first is None:
                wrong = (
                    f"expected a str or an int as {self.id!r}, found {_kind(name)}"
                    if not (isinstance(name, str) and name)
                    else f"document {name!r}: expected a str as {self.text!r}, found {_kind(text)}"
                )
                first = (row, wrong)
        return ids, texts, bad, first


def _kind(value: Any) -> str:
    return "nothing" if value is None or value == "" else type(value).__name__


def _arrow(block: Any) -> Any:
    from ray.data.block import BlockAccessor

    return BlockAccessor.for_block(block).to_arrow()


def bad_row(row: int, wrong: str) -> DataError:
    """The error for a row of the whole dataset, from 0."""
    return DataError(
        f"<dataset>: row {row}: {wrong}",
        path="<dataset>",
        record=row + 1,
        hint='mend the row, or leave such rows out with on_bad="skip"',
    )


def digest(ids: list[str], texts: list[str]) -> str:
    """What a block is: its ids and texts."""
    hasher = hashlib.blake2b(digest_size=16)
    for pair in zip(ids, texts):
        for part in pair:
            data = part.encode()
            hasher.update(len(data).to_bytes(8, "little"))
            hasher.update(data)
    return hasher.hexdigest()


def blocks(
    dataset: ray.data.Dataset, rows: int, columns: Columns, known: bool = False
) -> Iterator[Any]:
    """References of the blocks in the dataset's order, of `rows` rows each but the last. Rows stay on
    the nodes that read them. Where it is not `known` to have the columns, they are looked for."""
    if not isinstance(rows, int) or rows < 1:
        raise SettingError(f"`rows` must be 1 or more, found {rows!r}", setting="rows")
    context = dataset.context
    before = context.execution_options.preserve_order
    context.execution_options.preserve_order = True
    try:
        names = [columns.id, columns.text] if known else dataset.columns()
        missing = [name for name in (columns.id, columns.text) if name not in (names or [])]
        if missing:
            found = ", ".join(names or []) or "no columns"
            raise DataError(f"<dataset>: expected a column {missing[0]!r}, found {found}", path="<dataset>")
        chosen = dataset.select_columns([columns.id, columns.text])
        cut = chosen.repartition(target_num_rows_per_block=rows, strict=True)
        for bundle in cut.iter_internal_ref_bundles():
            for entry in bundle.blocks:
                reference, metadata = _entry(entry)
                if metadata.num_rows != 0:
                    yield reference
    finally:
        context.execution_options.preserve_order = before


def _entry(entry: Any) -> tuple[Any, Any]:
    # A pair up to Ray 2.5x, an object with names since.
    return (entry.ref, entry.metadata) if hasattr(entry, "ref") else (entry[0], entry[1])


def anywhere(place: Any) -> str:
    """A path as other nodes find it; hub ids and URLs stay."""
    path: str = os.fspath(place)
    return os.path.abspath(path) if os.path.exists(path) or path.startswith((".", "/")) else path


def unwrapped(error: BaseException) -> BaseException:
    """What a task raised, without Ray's report around it."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, BaseException) else error


def in_order(submit: Any, items: Any, most: int) -> Iterator[Any]:
    """Results of a task for each of the items, in their order, at most so many under way."""
    waiting: list[Any] = []
    for item in items:
        waiting.append(submit(item))
        if len(waiting) >= most:
            yield _get(waiting.pop(0))
    while waiting:
        yield _get(waiting.pop(0))


def _get(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise unwrapped(error) from None
