"""Serving: a Ray Serve application of a root and one group of replicas a partition."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

import ray
from ray import serve as _serve

from .. import _engine
from .._errors import SettingError
from ._blocks import unwrapped
from ._build import _place
from ._partition import Partition
from ._root import Answer, PartitionError, Root, Settings

__all__ = ["Answer", "PartitionError", "Search", "serve"]

#: Tries of a call whose root has died.
TRIES = 20


def serve(
    uri: str,
    *,
    name: str = "splindex",
    pointer: str = "current",
    partitions: int | None = None,
    replicas: int = 2,
    roots: int = 1,
    threads: int = 1,
    cpus: float = 1.0,
    memory: int | None = None,
    cache: str | None = None,
    deadline: float = 2.0,
    hedge: float | None = None,
    allow_partial: bool = False,
    follow: float | None = None,
    load_time: float = 3600.0,
    hybrid_weight: float | None = None,
    max_query_length: int | None = None,
    k: int = 10,
    max_k: int = 1000,
    host: str = "127.0.0.1",
    port: int = 8000,
    route_prefix: str = "/",
) -> Search:
    """Serves the release that a pointer at `uri` names (a folder that all nodes share, `s3://`, `gs://`
    or `az://`), and gives a handle to search it. Lists are those of one index of the collection, ties
    included, for every k, kind of query and algorithm.

    Each of `partitions` (by default one a part) is `replicas` processes with `threads` searching
    threads and `cpus` each, which fetch their parts into `cache` on their node and map them. `roots`
    make a query once, ask all partitions and merge what they answer. A partition that has not answered
    after `deadline` seconds is an error, `PartitionError`; with `allow_partial` its parts are missing
    from the answer, which says so. A replica that dies costs no request while another lives. After
    `hedge` seconds another replica is asked as well.

    `reload` of the handle, `POST /reload` or a look every `follow` seconds takes a newly published
    release when all replicas have it, within `load_time`; each request is answered by one release.

    HTTP at `host:port` (of the first application on a cluster) has the routes of `splindex-query
    serve`: `/search`, `/health`, `/ready`, `/reload`, `/metrics`.
    """
    if not deadline > 0:
        raise SettingError(f"`deadline` must be above 0, found {deadline}", setting="deadline")
    for setting, value in {"replicas": replicas, "roots": roots, "threads": threads}.items():
        if value < 1:
            raise SettingError(f"`{setting}` must be 1 or more, found {value}", setting=setting)
    uri = _place(uri)
    parts = len(json.loads(_engine.release(uri, pointer)[1])["parts"])
    groups = partitions or parts
    settings = Settings(
        uri, pointer, name, groups, replicas, roots, cache, deadline, hedge, allow_partial, load_time,
        follow, hybrid_weight, max_query_length, k, max_k,
    )  # fmt: skip
    actor: dict[str, Any] = {"num_cpus": cpus}
    if memory is not None:
        actor["memory"] = memory
    group = _serve.deployment(
        num_replicas=replicas, ray_actor_options=actor, max_ongoing_requests=max(8, 4 * threads)
    )(Partition)
    bound = [
        group.options(name=f"part-{number:04}").bind(uri, pointer, number, groups, cache, threads)
        for number in range(groups)
    ]
    root = _serve.deployment(
        name="root", num_replicas=roots, ray_actor_options={"num_cpus": cpus}, max_ongoing_requests=256
    )(Root)
    _serve.start(http_options={"host": host, "port": port})
    handle = _serve.run(root.bind(settings, *bound), name=name, route_prefix=route_prefix)
    return Search(handle, name, deadline)


class Search:
    """A handle of a served collection. Pickles, so that other processes of the cluster can ask, too."""

    def __init__(self, handle: Any, name: str, deadline: float) -> None:
        self._handle, self.name, self._deadline = handle, name, deadline

    @staticmethod
    def of(name: str = "splindex", deadline: float = 2.0) -> Search:
        """A handle of an application that runs already."""
        return Search(_serve.get_app_handle(name), name, deadline)

    def __call__(
        self,
        query: Any,
        k: int = 10,
        algorithm: str = "auto",
        *,
        deadline: float | None = None,
        allow_partial: bool | None = None,
    ) -> Answer:
        """The k best documents for a query as `Index.search` takes it: a text, `{token: weight}`, or
        `Parts`."""
        return self.batch([("", query)], k, algorithm, deadline=deadline, allow_partial=allow_partial)[0]

    def batch(
        self,
        queries: Mapping[str, Any] | Iterable[tuple[str, Any]],
        k: int = 10,
        algorithm: str = "auto",
        *,
        deadline: float | None = None,
        allow_partial: bool | None = None,
    ) -> list[Answer]:
        """Answers of many queries by one request, all by one release."""
        asked = list(queries.items() if isinstance(queries, Mapping) else queries)
        answers: list[Answer] = self._call(
            "search", ("queries", asked), k, algorithm, deadline, allow_partial
        )
        return answers

    def reload(self) -> str:
        """Takes the release that the pointer names now, when all replicas have it; its name."""
        return str(self._call("reload")[1])

    def status(self) -> dict[str, Any]:
        """What is served: release, documents, parts."""
        told: dict[str, Any] = self._call("status")
        return told

    def close(self) -> None:
        """Stops the application."""
        _serve.delete(self.name)

    def _call(self, method: str, *arguments: Any) -> Any:
        for tried in range(TRIES):
            try:
                return getattr(self._handle, method).remote(*arguments).result()
            except ray.exceptions.RayTaskError as error:
                raise unwrapped(error) from None
            except ray.exceptions.RayActorError:
                # The root died; Serve starts another.
                if tried + 1 == TRIES:
                    raise
                time.sleep(0.1 * (tried + 1))
        raise AssertionError("the last try returns or raises")
