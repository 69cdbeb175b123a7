"""The console scripts `splindex` and `splindex-query`: the library's own command line."""

from __future__ import annotations

import signal
import sys

from . import _engine


def _run(program: str) -> int:
    # Python would note Ctrl-C and wait for the engine to come back.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _engine.run_program(program, [program, *sys.argv[1:]])


def splindex() -> int:
    """The pipeline: encode, build, merge, convert, evaluate."""
    return _run("splindex")


def splindex_query() -> int:
    """The query processor: search, bench, serve."""
    return _run("splindex-query")
