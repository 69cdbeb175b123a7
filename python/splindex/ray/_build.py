"""Building: parts by tasks, from what all of them agree on, then one file, or parts that stay apart."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import ray.data

from .. import _engine, _progress
from .._build import StrPath, _bm25, _settings
from .._errors import DataError, SettingError
from .._progress import Progress
from ._blocks import Columns, anywhere, bad_row, blocks, digest, in_order, unwrapped
from ._encode import Encoded, _most, _write, hashed
from ._points import reached

#: What `build` writes when a merged index is there.
BUILT = "built.json"
#: Documents of a part, if nothing is said.
PART = 20_000_000


@dataclass(frozen=True)
class Built:
    """Index files, and their release if they were published."""

    output: str
    #: The files, in the order of their documents: one where they were merged.
    parts: list[str]
    documents: int
    #: The content id of the one file, else None.
    content_id: str | None
    #: The mean length that BM25 has of the whole collection.
    avgdl: float | None
    release: str | None = None
    #: Parts that this call built, and those that were there.
    built: int = 0
    found: int = 0

    def paths(self) -> list[Path]:
        """The files."""
        return [Path(self.output, name) for name in self.parts]


def build(
    stores: Encoded | StrPath | None,
    output: StrPath,
    *,
    texts: ray.data.Dataset | None = None,
    id_column: str = "id",
    text_column: str = "text",
    rows: int = 100_000,
    on_bad: str = "error",
    parts: int | None = None,
    merge: bool = True,
    order: str = "input",
    codec: str = "fast",
    bits: int = 8,
    scale: str | float = "auto",
    skip_data: bool = False,
    top_per_doc: int | None = None,
    min_impact: int | None = None,
    k1: float = 0.9,
    b: float = 0.4,
    stemmer: str = "english",
    stopwords: str = "english",
    memory: int | str = "4GiB",
    threads: int = 1,
    publish: str | None = None,
    query_model: StrPath | None = None,
    pointer: str = "current",
    keep: int | None = None,
    note: str = "",
    retries: int = 3,
    progress: Progress = True,
) -> Built:
    """Builds the index of `stores` (what `encode` gave, its folder, or that of one store), of `texts` (a Ray Dataset, for
    BM25), or of both (the same documents in the same order), below `output`, a folder that all nodes
    share.

    The collection is cut into `parts` equal ones (by default one a CPU, and of 20 million documents at
    most), each built by a task of `threads` threads and `memory`. A first pass finds what all of them
    must agree on: the largest weight, and of texts the mean length. With `merge` they become one file,
    `index.spx`, with the content id of a single build. Without, they stay apart; their release has a
    summary of their terms, so that lists and scores are those of the one file all the same. `publish`
    makes a release of them at that place, with `query_model` for texts; `pointer`, `keep` and `note`
    are as `splindex publish` has them. A part's name says its place and what it is of: a task that is
    tried again writes the same, and the same call goes on after a crash of the driver.

    Other keywords are those of `splindex.build` and `splindex.build_bm25`; `order` is "input" or "bp".

    Raises:
        splindex.DataError: a bad row; other documents in the texts than in the stores.
        splindex.SettingError: a keyword out of its range.
    """
    if stores is None and texts is None:
        raise SettingError("expected `stores`, `texts` or both, found neither", setting="stores")
    if order not in ("input", "bp"):
        raise SettingError(f'`order` must be "input" or "bp", found {order!r}', setting="order")
    encoded = stores if stores is None or isinstance(stores, Encoded) else Encoded.read(stores)
    folder = Path(output).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    columns = Columns(id_column, text_column, on_bad)
    size = _bytes(memory)
    show = _progress.shown(progress)
    try:
        read = None if texts is None else _read(texts, rows, columns, (k1, b, stemmer, stopwords), show)
        documents = _documents(encoded, read)
        count = _parts(parts, documents)
        bm25 = None if read is None else _bm25(k1, b, read.avgdl, stemmer, stopwords)
        # All documents are ordered when they are merged.
        part_order = "input" if merge else order
        settings = _settings(
            part_order, codec, bits, scale, skip_data, top_per_doc, min_impact, size, None, threads, bm25
        )  # fmt: skip
        key = _key(encoded, read, settings, count)
        work = _Work(folder, encoded, columns, settings, count, documents, key)
        tasks = _Tasks(size, threads, retries, show)
        built = tasks.parts(work, read)
        names = [work.name(number) for number in range(count)]
        content_id = None
        if merge:
            content_id = tasks.merge(work, names, "index.spx", order)
            names = ["index.spx"]
        release = None
        if publish is not None:
            paths = [str(folder / name) for name in names]
            model = None if query_model is None else anywhere(query_model)
            release = tasks.publish(paths, _place(publish), model, pointer, keep, note)
    finally:
        _progress.close(show)
    avgdl = read.avgdl if read else None
    return Built(str(folder), names, documents, content_id, avgdl, release, built, count - built)


def _place(uri: str) -> str:
    """A store of releases, as other nodes find it."""
    return uri if "://" in uri else os.path.abspath(uri)


def _parts(parts: int | None, documents: int) -> int:
    if parts is not None and not 1 <= parts <= documents:
        raise SettingError(
            f"`parts` must be 1 to the number of documents, {documents}, found {parts}", setting="parts"
        )
    cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))
    return parts or min(documents, max(cpus, -(-documents // PART)))


def _bytes(memory: int | str) -> int:
    """`memory` for Ray, which takes a number."""
    if isinstance(memory, int):
        return memory
    units = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "B": 1}
    unit = next((unit for unit in units if memory.endswith(unit)), "")
    try:
        return int(float(memory.removesuffix(unit)) * units.get(unit, 1))
    except ValueError:
        raise SettingError(
            f'`memory` must be bytes, or a size such as "8GiB", found {memory!r}', setting="memory"
        ) from None


@dataclass(frozen=True)
class _Read:
    """Texts that were counted: their blocks, which stay where they were read."""

    references: list[Any]
    documents: list[int]
    digests: list[str]
    avgdl: float


@ray.remote
def _lengths(
    block: Any, columns: Columns, bm25: dict[str, Any]
) -> tuple[int, int, str, int, tuple[int, str] | None]:
    ids, texts, bad, first = columns.rows(block)
    documents, tokens = _engine.count_tokens(zip(ids, texts), bm25)
    return documents, tokens, digest(ids, texts), len(ids) + bad, first


def _read(texts: ray.data.Dataset, rows: int, columns: Columns, how: Any, show: Any) -> _Read:
    k1, b, stemmer, stopwords = how
    bm25 = _bm25(k1, b, "auto", stemmer, stopwords)
    references: list[Any] = []

    def submit(block: Any) -> Any:
        references.append(block)
        return _lengths.remote(block, columns, bm25)

    documents: list[int] = []
    digests: list[str] = []
    tokens, seen = 0, 0
    results = in_order(submit, blocks(texts, rows, columns), _most())
    for count, length, content, read, first in results:
        if first is not None and columns.on_bad == "error":
            raise bad_row(seen + first[0], first[1])
        documents.append(count)
        digests.append(content)
        tokens, seen = tokens + length, seen + read
        if show:
            show("counting", seen, 0)
    total = sum(documents)
    if total == 0:
        raise DataError("<dataset>: expected rows, found none that are good", path="<dataset>")
    # Of no word at all, the mean length is 1.
    return _Read(references, documents, digests, tokens / total if tokens else 1.0)


def _documents(encoded: Encoded | None, read: _Read | None) -> int:
    texts = None if read is None else sum(read.documents)
    if encoded is not None and texts is not None and encoded.documents != texts:
        raise DataError(
            f"<dataset>: expected the {encoded.documents} documents of {encoded.output}, found {texts}",
            path="<dataset>",
            hint="give the texts that were encoded, in the same order",
        )
    return encoded.documents if encoded is not None else texts or 0


def _key(encoded: Encoded | None, read: _Read | None, settings: dict[str, Any], count: int) -> str:
    """All that decides the bytes of the parts."""
    free = ("memory", "threads", "tmp")
    told = {name: value for name, value in settings.items() if name not in free}
    # A journal has a checksum of every block's texts.
    paths = encoded.paths() if encoded else []
    stores = [hashed(path.name + (path / "journal.jsonl").read_text()) for path in paths]
    return hashed(json.dumps([stores, read.digests if read else None, told, count], sort_keys=True))


@dataclass(frozen=True)
class _Work:
    folder: Path
    encoded: Encoded | None
    columns: Columns
    settings: dict[str, Any]
    count: int
    documents: int
    key: str

    def name(self, number: int) -> str:
        return f"part-{number:05}-of-{self.count:05}-{self.key}.spx"

    def texts(self, read: _Read, number: int) -> tuple[list[Any], int, int]:
        """The blocks that hold a part's texts, the texts before it in them, and how many there are."""
        # As `build --shard` cuts vectors.
        start = self.documents * number // self.count
        end = self.documents * (number + 1) // self.count
        chosen: list[Any] = []
        before, first = 0, 0
        for reference, documents in zip(read.references, read.documents):
            if before < end and start < before + documents:
                first = first if chosen else start - before
                chosen.append(reference)
            before += documents
        return chosen, first, end - start


@ray.remote
def _part(work: _Work, number: int, texts: tuple[list[Any], int, int] | None) -> None:
    """Builds a part, unless it is there."""
    path = work.folder / work.name(number)
    if path.exists():
        return
    reached(f"build-begin-{number}")
    settings = dict(work.settings)
    vectors = None
    if work.encoded is not None:
        settings["shard"] = (number, work.count)
        stores = [str(store) for store in work.encoded.paths()]
        vectors = {"paths": stores, "ids": None, "vocabulary": None}
    records = None if texts is None else _records(work.columns, *texts)
    _engine.build(vectors, records, str(path), settings, False).close()
    reached(f"build-named-{number}")


def _records(columns: Columns, references: list[Any], skip: int, take: int) -> Iterator[Any]:
    """The texts of a part, a block in memory at a time."""
    for reference in references:
        ids, texts, _, _ = columns.rows(ray.get(reference))
        chosen = range(skip, min(len(ids), skip + take))
        for row in chosen:
            yield ids[row], texts[row]
        take -= len(chosen)
        skip = 0


@ray.remote
def _merge(paths: list[str], output: str, settings: dict[str, Any]) -> str:
    reached("merge-begin")
    with _engine.merge(paths, output, settings, False) as index:
        return index.content_id


@ray.remote
def _publish(
    paths: list[str], dest: str, model: str | None, pointer: str, keep: int | None, note: str
) -> dict[str, Any]:
    return _engine.publish(paths, dest, model, pointer, keep, note, False)


class _Tasks:
    """What runs on the cluster, with the memory that it says it needs."""

    def __init__(self, memory: int, threads: int, retries: int, show: Any) -> None:
        self.memory, self.threads, self.show = memory, threads, show
        self.options = {"num_cpus": threads, "memory": memory, "max_retries": retries}

    def parts(self, work: _Work, read: _Read | None) -> int:
        """Builds the parts that are missing; how many."""
        missing = [n for n in range(work.count) if not (work.folder / work.name(n)).exists()]

        def submit(number: int) -> Any:
            texts = None if read is None else work.texts(read, number)
            return _part.options(**self.options).remote(work, number, texts)

        for done, _ in enumerate(in_order(submit, missing, work.count), 1):
            reached(f"driver-built-{done}")
            if self.show:
                self.show("build", done, len(missing))
        return len(missing)

    def merge(self, work: _Work, names: list[str], name: str, order: str) -> str:
        """Joins the parts into one file, unless that is there; its content id."""
        path, told = work.folder / name, work.folder / BUILT
        key = hashed(f"{work.key} {order}")
        before = json.loads(told.read_text()) if told.exists() else {}
        if before.get("key") == key and path.exists():
            return str(before["content_id"])
        paths = [str(work.folder / part) for part in names]
        settings = {
            "order": "bp" if order == "bp" else "concat",
            "memory": self.memory,
            "threads": self.threads,
        }
        content_id: str = _got(_merge.options(**self.options).remote(paths, str(path), settings))
        _write(told, json.dumps({"key": key, "content_id": content_id}))
        return content_id

    def publish(self, paths: list[str], dest: str, *rest: Any) -> str:
        task = _publish.options(num_cpus=1, max_retries=self.options["max_retries"])
        told = _got(task.remote(paths, dest, *rest))
        if not told["moved"]:
            raise DataError(
                f"{dest}: another program moved the pointer meanwhile; the release "
                f"{told['release']} is there",
                path=dest,
                hint="`splindex rollback DEST RELEASE` moves it to this release",
            )
        release: str = told["release"]
        return release


def _got(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise unwrapped(error) from None
