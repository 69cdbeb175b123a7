"""Encoding: blocks of a dataset into the shards of one store, by actors that load the model once."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import ray.data

from .. import _engine, _inputs, _progress
from .._build import StrPath
from .._errors import DataError, Error, SettingError
from .._progress import Progress
from ._blocks import Columns, anywhere, bad_row, blocks, digest, in_order, unwrapped
from ._points import reached

#: What `encode` writes when all shards are there.
COLLECTION = "collection.json"
#: How the shards of a folder are made: a later run must want the same.
PLAN = "plan.json"


@dataclass(frozen=True)
class Encoded:
    """The shards of one store: what `build` takes, and what came of encoding them."""

    output: str
    #: Folders below `output`, in the order of their documents.
    stores: list[str]
    documents: int
    postings: int
    empty: int
    truncated: int
    #: Rows that were left out.
    skipped: int
    largest_weight: float
    #: The instruction sets of the machines, of vectors by `Encoder`.
    simd: list[str]
    #: Shards that this call encoded, and those that were there.
    encoded: int = 0
    found: int = 0

    def paths(self) -> list[Path]:
        """The folders of the stores."""
        return [Path(self.output, name) for name in self.stores]

    @staticmethod
    def read(output: StrPath) -> Encoded:
        """What an earlier call wrote to `output`, or a store that one machine made there."""
        path = Path(output, COLLECTION)
        if not path.exists() and Path(output, "manifest.json").exists():
            folder = Path(output).absolute()
            told = _told(folder.parent, [folder.name], 0, True)
            return Encoded(output=str(folder.parent), **told)
        if not path.exists():
            raise DataError(
                f"{output}: expected the stores of splindex.ray.encode, found no {COLLECTION}",
                path=str(output),
                hint="call encode again: it goes on where it stopped",
            )
        told = json.loads(path.read_text())
        return Encoded(output=str(Path(output).absolute()), **told)


@dataclass(frozen=True)
class _Shard:
    number: int
    of: int
    before: int
    documents: int
    digest: str

    @property
    def name(self) -> str:
        """Says its place and its content: who encodes it again writes the same folder."""
        place = hashed(f"{self.before} {self.documents} {self.digest}")
        return f"shard-{self.number:05}-of-{self.of:05}-{place}"


def hashed(text: str) -> str:
    import hashlib

    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def encode(
    dataset: ray.data.Dataset,
    model: StrPath,
    output: StrPath,
    *,
    id_column: str = "id",
    text_column: str = "text",
    rows: int = 20_000,
    encoder: Callable[[Any], Any] | None = None,
    actors: int | None = None,
    threads: int = 1,
    gpus: float = 0,
    max_length: int | None = None,
    top: int | None = None,
    min_weight: float = 0.0,
    weights: str = "f32",
    reuse: Sequence[StrPath] = (),
    on_bad: str = "error",
    mixed: bool = False,
    retries: int = 3,
    progress: Progress = True,
) -> Encoded:
    """Encodes a Ray Dataset of ids and texts into the shards of one store below `output`, a folder that
    all nodes share.

    The rows are cut, in their order, into blocks of `rows`, a shard each, which are read twice: once to
    count and to find bad rows before anything is encoded. A shard's name says its place and its
    content, and it appears when it is complete. So a task that is tried again writes the same, and
    after a crash of anything, the driver too, the same call goes on with what is missing. The shards
    are what `Encoder.encode_to_store(…, shard=…)` writes on one machine, bit for bit, where that has
    the same instruction set; nodes with different ones are refused unless `mixed`.

    `actors` (by default one a CPU) load `model` once, each with `threads` threads. With `encoder`, a
    class or function, they call `encoder(model)` instead and its `encode_documents(texts)`, or its
    `encode_document` where it is sentence-transformers' SparseEncoder, each on `gpus` GPUs; it gives a
    sparse matrix with a row a text, or `Vectors`, and has `vocabulary` or `tokenizer` for the columns.
    `max_length`, `top`, `min_weight`, `weights` and `reuse` are those of `Encoder`, and do not go with
    `encoder`.

    A row without an id or a text is an error that names it; with `on_bad="skip"` such rows are left out
    and counted. What a dead node took with it is read and encoded again up to `retries` times.

    Raises:
        splindex.DataError: a bad row; a dataset that gives other rows the second time; an `output`
            that was begun with other settings; nodes of different instruction sets.
    """
    columns = Columns(id_column, text_column, on_bad)
    own = {"max_length": max_length, "top": top, "min_weight": min_weight or None}
    if encoder is not None and (any(v is not None for v in own.values()) or reuse or weights != "f32"):
        raise SettingError(
            "`max_length`, `top`, `min_weight`, `weights` and `reuse` do not go with `encoder`: it "
            "gives the vectors that are stored",
            setting="encoder",
        )
    model = anywhere(model)
    folder = Path(output).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    _plan(folder, _settings(model, encoder, columns, rows, max_length, top, min_weight, weights))
    show = _progress.shown(progress)
    try:
        shards, skipped = _survey(dataset, rows, columns, show)
        store: dict[str, Any] = {"top": top, "min_weight": min_weight, "weights": weights}
        store["reuse"] = [anywhere(path) for path in reuse]
        work = _Work(folder, model, encoder, threads, max_length, store, columns)
        missing = [shard for shard in shards if not (folder / shard.name).exists()]
        made, passes = 0, 0
        while missing:
            try:
                made += _pass(dataset, rows, missing, work, (actors, threads, gpus, retries), mixed, show)
            except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError):
                # A node is gone with what it had read.
                passes += 1
                if passes > retries:
                    raise
            missing = [shard for shard in shards if not (folder / shard.name).exists()]
    finally:
        _progress.close(show)
    for rest in folder.glob(".shard-*"):
        shutil.rmtree(rest, ignore_errors=True)
    names = [shard.name for shard in shards]
    told = _told(folder, names, skipped, mixed)
    _write(folder / COLLECTION, json.dumps(told, indent=1))
    return Encoded(output=str(folder), **told, encoded=made, found=len(shards) - made)


def _settings(model: Any, encoder: Any, columns: Columns, *rest: Any) -> dict[str, Any]:
    names = ("rows", "max_length", "top", "min_weight", "weights")
    by = None if encoder is None else getattr(encoder, "__qualname__", repr(encoder))
    told = {"model": os.fspath(model), "encoder": by, "on_bad": columns.on_bad}
    return {**told, "id_column": columns.id, "text_column": columns.text, **dict(zip(names, rest))}


def _plan(folder: Path, settings: dict[str, Any]) -> None:
    """One folder has the shards of one plan."""
    path = folder / PLAN
    if not path.exists():
        if any(folder.iterdir()):
            raise DataError(
                f"{folder}: expected an empty folder, or one of splindex.ray.encode, found other files",
                path=str(folder),
                hint="give another `output`",
            )
        _write(path, json.dumps(settings, indent=1))
        return
    before = json.loads(path.read_text())
    for name, value in settings.items():
        if before.get(name) != value:
            raise DataError(
                f"{folder}: it was begun with `{name}` {before.get(name)!r}, found {value!r}",
                path=str(folder),
                hint="give the same settings, or another `output`",
            )


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    beside.write_text(text + "\n")
    os.replace(beside, path)


@ray.remote
def _count(block: Any, columns: Columns) -> tuple[int, int, str, int, tuple[int, str] | None]:
    ids, texts, bad, first = columns.rows(block)
    return len(ids), bad, digest(ids, texts), len(ids) + bad, first


def _survey(
    dataset: ray.data.Dataset, rows: int, columns: Columns, show: Any
) -> tuple[list[_Shard], int]:
    """All shards, and the number of bad rows."""
    counts, seen, skipped = [], 0, 0
    submit = lambda block: _count.remote(block, columns)  # noqa: E731
    for documents, bad, content, read, first in in_order(submit, blocks(dataset, rows, columns), _most()):
        if first is not None and columns.on_bad == "error":
            raise bad_row(seen + first[0], first[1])
        counts.append((documents, content))
        seen += read
        skipped += bad
        if show:
            show("counting", seen, 0)
    if not any(documents for documents, _ in counts):
        raise DataError("<dataset>: expected rows, found none that are good", path="<dataset>")
    shards, before = [], 0
    for number, (documents, content) in enumerate(counts):
        shards.append(_Shard(number, len(counts), before, documents, content))
        before += documents
    return shards, skipped


def _most() -> int:
    return 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))


@dataclass(frozen=True)
class _Work:
    folder: Path
    model: Any
    encoder: Any
    threads: int
    max_length: int | None
    store: dict[str, Any]
    columns: Columns


@ray.remote
class _Actor:
    """Has the model."""

    def __init__(self, work: _Work) -> None:
        self.work = work
        if work.encoder is not None:
            self.encoder = work.encoder(work.model)
        else:
            self.encoder = _engine.Encoder(
                work.model, threads=work.threads, max_length=work.max_length
            )

    def encode(self, block: Any, shard: _Shard) -> tuple[int, str | None]:
        """Makes the shard, unless it is there. Its documents, and the instruction set."""
        work = self.work
        final = work.folder / shard.name
        if not final.exists():
            ids, texts, _, _ = work.columns.rows(block)
            if digest(ids, texts) != shard.digest:
                raise DataError(
                    f"<dataset>: block {shard.number} has other rows than when it was counted",
                    path="<dataset>",
                    hint="give a dataset that reads the same every time, in one order",
                )
            reached(f"encode-begin-{shard.number}")
            beside = work.folder / f".{shard.name}-{uuid.uuid4().hex}"
            self._write(beside, ids, texts, (shard.number, shard.of, shard.before))
            reached(f"encode-written-{shard.number}")
            try:
                os.rename(beside, final)
            except OSError:
                # Another try was quicker, with the same bytes.
                if not final.exists():
                    raise
                shutil.rmtree(beside, ignore_errors=True)
            reached(f"encode-named-{shard.number}")
        return shard.documents, _simd(final)

    def _write(self, path: Path, ids: list[str], texts: list[str], shard: tuple[int, int, int]) -> None:
        if self.work.encoder is None:
            records = zip(ids, texts)
            self.encoder.encode_to_store(
                records, path, shard=shard, progress=False, **self.work.store
            )
            return
        if hasattr(self.encoder, "encode_document"):
            from ..sentence_transformers import encode_documents

            vectors = encode_documents(self.encoder, texts)
        else:
            vectors = self.encoder.encode_documents(texts)
        vocabulary = getattr(self.encoder, "vocabulary", None)
        if vocabulary is None and not hasattr(vectors, "vocabulary"):
            vocabulary = getattr(self.encoder, "tokenizer", None)
        _engine.write_store(_inputs.vectors(vectors, ids, vocabulary), path, shard)


def _simd(store: Path) -> str | None:
    encoding = json.loads((store / "manifest.json").read_text())["plan"].get("encoding")
    return encoding["simd"] if encoding else None


def _pass(
    dataset: ray.data.Dataset,
    rows: int,
    missing: list[_Shard],
    work: _Work,
    pool: tuple[int | None, int, float, int],
    mixed: bool,
    show: Any,
) -> int:
    """Reads the dataset once and encodes the shards that are missing; how many."""
    wanted = {shard.number: shard for shard in missing}
    free = _actors(work, pool, len(wanted))
    everyone = list(free)
    running: dict[Any, Any] = {}
    levels: set[str] = set()
    total, done, made = sum(shard.documents for shard in missing), 0, 0

    def finish() -> None:
        nonlocal done, made
        ready, _ = ray.wait(list(running), num_returns=1)
        free.append(running.pop(ready[0]))
        documents, level = ray.get(ready[0])
        done, made = done + documents, made + 1
        reached(f"driver-finished-{made}")
        if level is not None:
            levels.add(level)
        if len(levels) > 1 and not mixed:
            raise _different(sorted(levels))
        if show:
            show("encode", done, total)

    try:
        for number, block in enumerate(blocks(dataset, rows, work.columns, known=True)):
            if number not in wanted:
                continue
            while not free:
                finish()
            actor = free.pop(0)
            running[actor.encode.remote(block, wanted.pop(number))] = actor
        while running:
            finish()
    except ray.exceptions.RayTaskError as error:
        raise unwrapped(error) from None
    finally:
        for actor in everyone:
            ray.kill(actor)
    if wanted:
        raise DataError(
            f"<dataset>: block {min(wanted)} is not there any more",
            path="<dataset>",
            hint="give a dataset that reads the same every time, in one order",
        )
    return made


def _actors(work: _Work, pool: tuple[int | None, int, float, int], shards: int) -> list[Any]:
    """Actors, each twice: one block is on its way while the other is encoded."""
    actors, threads, gpus, retries = pool
    actor: Any = _Actor
    # What reads the dataset is short work, and must find a CPU on every node: actors ask for none of
    # them, and are put where there are cores.
    options: dict[str, Any] = {"num_cpus": 0, "num_gpus": gpus, "max_restarts": -1}
    options["max_task_retries"] = retries
    if gpus:
        most = max(1, int(ray.cluster_resources().get("GPU", 0) / gpus))
        places: list[Any] = ["DEFAULT"] * min(actors or most, shards)
    else:
        nodes = [node for node in ray.nodes() if node["Alive"]]
        counts = {n["NodeID"]: max(1, int(n["Resources"].get("CPU", 0)) // threads) for n in nodes}
        # A first actor on every node, then a second.
        rounds = range(max(counts.values()))
        free = [name for turn in rounds for name, count in counts.items() if turn < count]
        count = min(actors or len(free), shards)
        places = [_near(free[number % len(free)]) for number in range(count)]
    made = [actor.options(scheduling_strategy=place, **options).remote(work) for place in places]
    return 2 * made


def _near(node: str) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # Where the node dies, another one does.
    return NodeAffinitySchedulingStrategy(node, soft=True)


def _different(levels: list[str]) -> Error:
    return DataError(
        f"expected one instruction set on all nodes, found {' and '.join(levels)}: the last bits of "
        "vectors differ",
        path="<cluster>",
        hint="use nodes of one kind, or allow it with mixed=True",
    )


def _told(folder: Path, names: list[str], skipped: int, mixed: bool) -> dict[str, Any]:
    """What all shards together are."""
    sums = {"documents": 0, "postings": 0, "empty": 0, "truncated": 0}
    largest, levels = 0.0, set()
    for name in names:
        manifest = json.loads((folder / name / "manifest.json").read_text())
        for key in sums:
            sums[key] += manifest["totals"][key]
        largest = max(largest, manifest["totals"]["largest_weight"])
        if manifest["plan"].get("encoding"):
            levels.add(manifest["plan"]["encoding"]["simd"])
    if len(levels) > 1 and not mixed:
        raise _different(sorted(levels))
    return {"stores": names, **sums, "skipped": skipped, "largest_weight": largest, "simd": sorted(levels)}
