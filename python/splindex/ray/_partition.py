"""One partition of a served collection: a replica maps its parts and searches them in its process."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ray import serve

from .. import _engine
from ._points import reached

#: Releases that a node keeps: the one that is served, the one before, and the next.
KEPT = 3
#: Seconds after which another one goes.
UNUSED = 3600


def cache_folder(uri: str, cache: str | None) -> Path:
    """Where a node keeps the releases of a place."""
    own = Path(tempfile.gettempdir(), f"splindex-{os.getuid()}")
    name = hashlib.blake2b(uri.encode(), digest_size=8).hexdigest()
    return Path(cache or own) / name


def fetched(uri: str, release: str, names: list[str], cache: str | None) -> Path:
    """The folder of a release that has these files of it."""
    folder = cache_folder(uri, cache) / release
    folder.mkdir(parents=True, exist_ok=True)
    _engine.fetch_files(uri, release, names, folder)
    os.utime(folder)
    _forget(folder.parent)
    return folder


def _forget(cache: Path) -> None:
    """Removes releases that were not opened for long. Who has mapped one keeps what it has mapped."""
    used = sorted((folder.stat().st_mtime, folder) for folder in cache.iterdir())
    for opened, folder in used[:-KEPT]:
        if opened < time.time() - UNUSED:
            shutil.rmtree(folder, ignore_errors=True)


def part_names(manifest: dict[str, Any]) -> list[str]:
    """The files of the parts, as `splindex fetch` names them."""
    count = len(manifest["parts"])
    return ["index.spx"] if count == 1 else [f"part-{number:04}.spx" for number in range(count)]


class Partition:
    """Every `groups`-th part of each release, from `group` on."""

    def __init__(
        self, uri: str, pointer: str, group: int, groups: int, cache: str | None, threads: int
    ) -> None:
        self.uri, self.pointer, self.cache = uri, pointer, cache
        self.group, self.groups = group, groups
        self.pool = ThreadPoolExecutor(threads)
        self.loading = threading.Lock()
        self.held: dict[str, list[tuple[int, int, Any]]] = {}
        self.failed: dict[str, str] = {}
        self.replica = serve.get_replica_context().replica_id.unique_id
        self._load(_engine.release(uri, pointer)[0])

    def _load(self, release: str) -> list[tuple[int, int, Any]]:
        """Number, first ordinal and index of each of our parts of a release."""
        parts = self.held.get(release)
        if parts is not None:
            return parts
        with self.loading:
            if release not in self.held:
                _, text = _engine.release(self.uri, self.pointer, release)
                manifest = json.loads(text)
                ours = range(self.group, len(manifest["parts"]), self.groups)
                names = part_names(manifest)
                folder = fetched(self.uri, release, [names[n] for n in ours], self.cache)
                opened = []
                for number in ours:
                    index = _engine.Index.open(folder / names[number])
                    part = manifest["parts"][number]
                    if index.content_id != part["content_id"]:
                        raise ValueError(f"{folder / names[number]}: not the part of the release")
                    opened.append((number, part["first_ordinal"], index))
                for old in sorted(self.held)[: 1 - KEPT]:
                    del self.held[old]
                self.held[release] = opened
            return self.held[release]

    def _answer(
        self, release: str, queries: list[bytes], k: list[int], algorithms: list[str]
    ) -> list[tuple[int, list[bytes]]]:
        reached(f"serve-search-{self.group}")
        parts = self._load(release)
        return [
            (number, index._answer(queries, k, algorithms, first)) for number, first, index in parts
        ]

    async def search(self, *asked: Any) -> list[tuple[int, list[bytes]]]:
        """Number of each part, and its answer to each query."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, self._answer, *asked)

    async def prepare(self, release: str) -> tuple[str, bool, str | None]:
        """Begins to load a release: this replica's name, whether the release is there, or why it cannot
        be."""
        if release not in self.held and release not in self.failed and not self.loading.locked():
            threading.Thread(target=self._try, args=(release,), daemon=True).start()
        return self.replica, release in self.held, self.failed.pop(release, None)

    def _try(self, release: str) -> None:
        try:
            self._load(release)
        except Exception as error:
            self.failed[release] = str(error)

    async def process(self) -> tuple[int, list[str]]:
        """Its number, and the releases that it has."""
        return os.getpid(), sorted(self.held)
