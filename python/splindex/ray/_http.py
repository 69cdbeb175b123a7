"""The routes of `splindex-query serve` for a root: the same parameters and lines of JSON."""

from __future__ import annotations

import gzip
import io
import json
import time
from collections import Counter
from typing import Any

import ray
from starlette.responses import Response

from .._errors import Error
from ._blocks import unwrapped
from ._root import Answer, PartitionError

#: Bytes of a body, packed and unpacked.
LARGEST_BODY = 4 << 20
ROUTES = {"/search": ("GET", "POST"), "/reload": ("POST",)}
READ = ("/health", "/ready", "/metrics")
PARAMETERS = ("q", "k", "algorithm", "kind", "explain", "allow_partial")


class _Refused(Exception):
    def __init__(self, status: int, problem: str) -> None:
        super().__init__(problem)
        self.status = status


class Http:
    """Answers of one root, and what it has counted."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.requests: Counter[tuple[str, int]] = Counter()
        self.seconds = 0.0
        self.partial = 0

    async def answer(self, request: Any) -> Response:
        """Of any request."""
        # Below the prefix of the application.
        path = request.scope.get("path", "/")
        prefix = request.scope.get("root_path", "")
        path = path[len(prefix) :] if prefix and path.startswith(prefix) else path
        started = time.perf_counter()
        try:
            response = await self._routed(path, request)
        except _Refused as refused:
            response = _json({"error": str(refused)}, refused.status)
        except PartitionError as error:
            response = _json({"error": str(error), "missing_parts": error.missing}, 504)
        except Error as error:
            response = _json({"error": str(error)}, 400)
        except ray.exceptions.RayTaskError as error:
            response = _json({"error": str(unwrapped(error))}, 500)
        except Exception as error:
            response = _json({"error": f"{type(error).__name__}: {error}"}, 500)
        self.seconds += time.perf_counter() - started
        known = path in ROUTES or path in READ
        self.requests[path if known else "other", response.status_code] += 1
        return response

    async def _routed(self, path: str, request: Any) -> Response:
        methods = ROUTES.get(path, ("GET", "HEAD") if path in READ else ())
        if not methods:
            expected = "/search, /health, /ready, /reload or /metrics"
            raise _Refused(404, f"expected {expected}, found the path {path!r}")
        if request.method not in methods and not (request.method == "HEAD" and "GET" in methods):
            raise _Refused(405, f"expected {' or '.join(methods)} for {path}, found {request.method}")
        if path == "/search":
            return await self._search(request)
        if path == "/reload":
            try:
                outcome, _ = await self.root.reload()
            except Exception as error:
                serving = await self.root.status()
                body = {"outcome": "refused", "error": str(error), "serving": serving}
                return _json(body, 409 if isinstance(error, Error) else 502)
            return _json({"outcome": outcome, **await self.root.status()})
        if path == "/ready":
            return _json({"ready": True, **await self.root.status()})
        if path == "/metrics":
            return Response(self._metrics(), media_type="text/plain; version=0.0.4")
        return _json({"ok": True})

    async def _search(self, request: Any) -> Response:
        given = request.query_params
        unknown = [name for name in given if name not in PARAMETERS]
        if unknown:
            raise _Refused(400, f"expected {', '.join(PARAMETERS)}, found the parameter {unknown[0]!r}")
        if given.get("explain", "false") != "false":
            raise _Refused(400, "`explain` is answered by a single index: search that")
        root, started = self.root, time.perf_counter()
        text = given.get("q")
        if request.method == "POST":
            if text is not None:
                raise _Refused(400, "expected queries in the body, found q as well")
            body: Any = await _body(request)
        elif text is None:
            raise _Refused(400, "expected a query: /search?q=…")
        else:
            body = text
        partial = given.get("allow_partial")
        answers = await root.search(
            ("request", (body, given.get("kind"))),
            _number(given.get("k"), root.settings.k),
            given.get("algorithm", "auto"),
            None,
            None if partial is None else partial == "true",
        )
        micros = (time.perf_counter() - started) * 1e6
        self.partial += any(answer.missing for answer in answers)
        algorithm = given.get("algorithm", "auto")
        lines = "".join(json.dumps(_told(a, algorithm, micros), ensure_ascii=False) + "\n" for a in answers)
        kind = "application/x-ndjson" if request.method == "POST" else "application/json"
        return Response(lines, media_type=kind)

    def _metrics(self) -> str:
        """Of this root: counters, in Prometheus' text."""
        lines = ["# TYPE splindex_requests_total counter"]
        for (route, status), count in sorted(self.requests.items()):
            lines.append(f'splindex_requests_total{{route="{route}",status="{status}"}} {count}')
        lines += [
            "# TYPE splindex_request_seconds_sum counter",
            f"splindex_request_seconds_sum {self.seconds:.6f}",
            "# TYPE splindex_partial_answers_total counter",
            f"splindex_partial_answers_total {self.partial}",
            "# TYPE splindex_index_info gauge",
            f'splindex_index_info{{release="{self.root.generation.release}"}} 1',
        ]
        return "\n".join(lines) + "\n"


async def _body(request: Any) -> bytes:
    """What was sent, unpacked."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise _Refused(413, f"expected at most {LARGEST_BODY} bytes, found more")
    packed = request.headers.get("content-encoding", "identity")
    if packed == "gzip":
        try:
            with gzip.open(io.BytesIO(body)) as file:
                body = file.read(LARGEST_BODY + 1)
        except (OSError, EOFError) as error:
            raise _Refused(400, f"expected gzip, found {error}") from None
        if len(body) > LARGEST_BODY:
            raise _Refused(413, f"expected at most {LARGEST_BODY} bytes unpacked, found more")
    elif packed != "identity":
        raise _Refused(415, f"expected a body that is plain or gzip, found {packed!r}")
    return body


def _number(text: str | None, usual: int) -> int:
    if text is None:
        return usual
    try:
        return int(text)
    except ValueError:
        raise _Refused(400, f"expected a number as k, found {text!r}") from None


def _told(answer: Answer, algorithm: str, micros: float) -> dict[str, Any]:
    rows = zip(answer.ids, answer.scores.tolist(), answer.float_scores.tolist())
    told: dict[str, Any] = {
        "qid": answer.query,
        "hits": [
            {"rank": rank, "docid": name, "score": score, "score_float": weighed}
            for rank, (name, score, weighed) in enumerate(rows, 1)
        ],
        "algorithm": algorithm,
        "unknown_tokens": answer.unknown,
        "truncated": answer.truncated,
        "request_us": micros,
        "release": answer.release,
    }
    if answer.missing:
        told["missing_parts"] = answer.missing
    return told


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(body, ensure_ascii=False), status, media_type="application/json")
