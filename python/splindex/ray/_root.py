"""The root of a served collection: makes the query once, asks every partition, merges their answers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import ray
from ray import serve

from .. import _engine
from .._errors import Error
from ._partition import fetched, part_names

#: Between two tries of a partition whose replica has died, and two looks at one that loads a release.
AGAIN = 0.05
#: Results of a request, over all its queries.
MOST_HITS = 1_000_000


class PartitionError(Error):
    """A partition did not answer within the deadline."""

    def __init__(self, message: str, missing: list[int] | None = None) -> None:
        super().__init__(message)
        #: Numbers of the parts without an answer.
        self.missing = missing or []

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.missing)


@dataclass(frozen=True)
class Answer:
    """The k best documents for a query, best first, as one index of the collection lists them."""

    ids: list[str]
    #: Positions in the input of the whole collection.
    ordinals: np.ndarray
    scores: np.ndarray
    float_scores: np.ndarray
    #: The release that gave all of it.
    release: str
    #: Tokens that the collection does not have.
    unknown: int = 0
    #: Whether more of the text stood there than was read.
    truncated: bool = False
    #: Numbers of the parts that did not answer: the list lacks theirs. Only with `allow_partial`.
    missing: list[int] = field(default_factory=list)
    query: str = ""

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Any:
        return iter(zip(self.ids, self.scores.tolist()))


@dataclass(frozen=True)
class Settings:
    """What the roots of an application share."""

    uri: str
    pointer: str
    name: str
    groups: int
    replicas: int
    roots: int
    cache: str | None
    deadline: float
    hedge: float | None
    allow_partial: bool
    load_time: float
    follow: float | None
    hybrid_weight: float | None
    max_query_length: int | None
    k: int
    max_k: int


@dataclass(frozen=True)
class Generation:
    """A release, as requests see it."""

    release: str
    manifest: dict[str, Any]
    collection: Any


def opened(settings: Settings, name: str | None = None) -> Generation:
    """The release of that name, or of the pointer, with what makes queries of it."""
    release, text = _engine.release(settings.uri, settings.pointer, name)
    manifest = json.loads(text)
    what = "summary.spx" if len(manifest["parts"]) > 1 else part_names(manifest)[0]
    if len(manifest["parts"]) > 1 and not manifest.get("summary"):
        raise Error(f"{settings.uri}: the release {release} has no summary of its parts: publish it again")
    model = manifest.get("query_model")
    files = [f"query-model/{file['name']}" for file in model["files"]] if model else []
    folder = fetched(settings.uri, release, [what, *files], settings.cache)
    collection = _engine.Collection.open(
        folder / what,
        query_model=folder / "query-model" if model else None,
        hybrid_weight=settings.hybrid_weight,
        max_query_length=settings.max_query_length,
    )
    return Generation(release, manifest, collection)


class Root:
    """Answers from one release at a time, and takes the next one when all partitions have it."""

    async def __init__(self, settings: Settings, *partitions: Any) -> None:  # type: ignore[misc]
        self.settings, self.partitions = settings, partitions
        self.generation = opened(settings)
        self.pool = ThreadPoolExecutor(4)
        self.replica = serve.get_replica_context().replica_id.unique_id
        self.rolling = asyncio.Lock()
        self.failure: str | None = None
        if settings.follow:
            self.following = asyncio.get_running_loop().create_task(self._follow(settings.follow))
        from ._http import Http

        self.http = Http(self)

    async def __call__(self, request: Any) -> Any:
        return await self.http.answer(request)

    async def search(
        self,
        make: tuple[str, Any],
        k: int,
        algorithm: str,
        deadline: float | None = None,
        allow_partial: bool | None = None,
    ) -> list[Answer]:
        """Answers queries, which `make` says: `("queries", [(id, query), …])`, or `("request", (body,
        kind))` as HTTP has them."""
        settings, generation = self.settings, self.generation
        until = time.monotonic() + (settings.deadline if deadline is None else deadline)
        partial = settings.allow_partial if allow_partial is None else allow_partial
        loop = asyncio.get_running_loop()
        made = await loop.run_in_executor(self.pool, _make, generation.collection, make)
        ks = [query[5] or k for query in made]
        if max(ks, default=1) > settings.max_k or min(ks, default=1) < 1:
            raise Error(f"expected k from 1 to {settings.max_k} (`max_k` of this service), found {max(ks)}")
        if sum(ks) > MOST_HITS:
            raise Error(
                f"expected at most {MOST_HITS} results over all queries, found {len(ks)} queries that "
                f"ask for {sum(ks)}; send them in parts"
            )
        terms = [query[1] for query in made]
        asked = (generation.release, terms, ks, [query[6] or algorithm for query in made])
        groups = min(settings.groups, len(generation.manifest["parts"]))
        answers = await asyncio.gather(
            *(self._ask(handle, asked, until) for handle in self.partitions[:groups]),
            return_exceptions=True,
        )
        lists: list[list[bytes]] = []
        missing: list[int] = []
        for group, answer in enumerate(answers):
            if isinstance(answer, TimeoutError):
                missing += range(group, len(generation.manifest["parts"]), settings.groups)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                lists += [part for _, part in answer]
        if missing and not partial:
            raise PartitionError(
                f"expected answers of all {len(generation.manifest['parts'])} parts within the deadline, "
                f"found none of {', '.join(map(str, sorted(missing)))}",
                sorted(missing),
            )

        def merge() -> list[Answer]:
            return [
                _merged(query, [part[at] for part in lists], k, generation.release, sorted(missing))
                for at, (query, k) in enumerate(zip(made, ks))
            ]

        # Short lists take microseconds, a thread as many.
        return merge() if sum(ks) < 10_000 else await loop.run_in_executor(self.pool, merge)

    async def _ask(self, handle: Any, asked: Any, until: float) -> Any:
        """One partition's answer: of another replica where one dies; with `hedge`, of the quicker of two
        where the first takes long."""
        while True:
            tries = [asyncio.ensure_future(_awaited(handle.search.remote(*asked)))]
            try:
                if self.settings.hedge is not None:
                    await asyncio.wait(tries, timeout=min(self.settings.hedge, _left(until)))
                    if not tries[0].done():
                        tries.append(asyncio.ensure_future(_awaited(handle.search.remote(*asked))))
                done, _ = await asyncio.wait(
                    tries, timeout=_left(until), return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    raise TimeoutError
                return done.pop().result()
            except ray.exceptions.RayTaskError as error:
                raise getattr(error, "cause", None) or error from None
            except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError):
                if _left(until) <= AGAIN:
                    raise TimeoutError from None
                await asyncio.sleep(AGAIN)
            finally:
                for one in tries:
                    one.cancel()

    async def reload(self) -> tuple[str, str]:
        """Takes the release that the pointer names: "swapped" or "unchanged", and its name. Requests go on
        meanwhile; each is answered by one release."""
        async with self.rolling:
            loop = asyncio.get_running_loop()
            read = lambda: _engine.release(self.settings.uri, self.settings.pointer)[0]  # noqa: E731
            release = await loop.run_in_executor(self.pool, read)
            swapped = await self.take(release)
            if self.settings.roots > 1:
                own: Any = serve.get_deployment_handle("root", self.settings.name)
                await _everyone(own.adopt, release, self.settings.roots, self.settings.load_time)
            return ("swapped" if swapped else "unchanged"), release

    async def take(self, release: str) -> bool:
        """Serves a release as soon as every replica of every partition has it; whether it is another."""
        if release == self.generation.release:
            self.failure = None
            return False
        loop = asyncio.get_running_loop()
        try:
            # What cannot be opened here moves nobody.
            generation = await loop.run_in_executor(self.pool, opened, self.settings, release)
            settings = self.settings
            ready = (
                _everyone(handle.prepare, release, settings.replicas, settings.load_time)
                for handle in self.partitions
            )
            await asyncio.gather(*ready)
        except Exception as error:
            self.failure = str(error)
            raise
        self.generation, self.failure = generation, None
        return True

    async def adopt(self, release: str) -> tuple[str, bool, str | None]:
        """As `Partition.prepare`, of a root."""
        await self.take(release)
        return self.replica, True, None

    async def _follow(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.reload()
            except Exception as error:
                # What is served goes on; `/ready` tells it.
                self.failure = str(error)

    async def status(self) -> dict[str, Any]:
        """What is served."""
        generation = self.generation
        manifest = generation.manifest
        return {
            "release": generation.release,
            "documents": manifest["documents"],
            "postings": manifest["postings"],
            "parts": len(manifest["parts"]),
            "content_ids": [part["content_id"] for part in manifest["parts"]],
            "texts": generation.collection.texts,
            "last_failure": self.failure,
        }

    async def processes(self, group: int) -> tuple[int, list[str]]:
        """Of one replica of a partition."""
        told: tuple[int, list[str]] = await self.partitions[group].process.remote()
        return told


def _make(collection: Any, make: tuple[str, Any]) -> list[Any]:
    """Queries as `Collection` gives them."""
    how, what = make
    if how == "request":
        made: list[Any] = collection.request(*what)
        return made
    return [(name, *collection.query(query)[1:]) for name, query in what]


def _merged(query: Any, parts: list[bytes], k: int, release: str, missing: list[int]) -> Answer:
    name, _, unit, unknown, truncated, *_ = query
    ids, ordinals, scores = _engine.merge_answers(parts, k)
    return Answer(ids, ordinals, scores, scores / unit, release, unknown, truncated, missing, name)


async def _awaited(response: Any) -> Any:
    return await response


def _left(until: float) -> float:
    return max(0.0, until - time.monotonic())


async def _everyone(
    prepare: Callable[..., Awaitable[Any]], release: str, replicas: int, seconds: float
) -> None:
    """Asks a deployment until so many of its replicas have a release: which one answers is chance."""
    ready: set[str] = set()
    until = time.monotonic() + seconds
    while len(ready) < replicas:
        try:
            replica, there, failed = await prepare.remote(release)  # type: ignore[attr-defined]
        except ray.exceptions.RayActorError:
            replica, there, failed = "", False, None
        if failed is not None:
            raise Error(f"a replica refuses the release {release}: {failed}")
        if there:
            ready.add(replica)
        elif _left(until) == 0:
            raise PartitionError(f"expected {replicas} replicas with {release}, found {len(ready)}")
        await asyncio.sleep(0 if there else AGAIN)
        if _left(until) == 0:
            raise PartitionError(f"expected {replicas} replicas with {release}, found {len(ready)}")
