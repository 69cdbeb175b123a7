"""Named points, for tests that break a cluster there and nowhere else.

Where `SPLINDEX_RAY_POINTS` names a folder, every point writes its name to `log` in it, and a process
that finds a file with the name of its point removes the file and dies, as by `kill -9`; where the file
holds a number, it sleeps for so many seconds instead.
"""

from __future__ import annotations

import os
import signal
import time


def reached(point: str) -> None:
    """The process has come here."""
    folder = os.environ.get("SPLINDEX_RAY_POINTS")
    if not folder:
        return
    with open(os.path.join(folder, "log"), "a") as log:
        log.write(point + "\n")
    trap = os.path.join(folder, point)
    try:
        with open(trap) as file:
            seconds = file.read().strip()
        # Of two processes that come here at once, one falls in.
        os.unlink(trap)
    except FileNotFoundError:
        return
    if seconds:
        time.sleep(float(seconds))
    else:
        os.kill(os.getpid(), signal.SIGKILL)
