"""Bars on a terminal or in a notebook: tqdm's where it is installed, else a line of our own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Union

#: True, False, or a function of phase, done steps and total steps (0 if unknown).
Progress = Union[bool, Callable[[str, int, int], object]]


def shown(progress: Progress) -> Callable[[str, int, int], object] | None:
    """What the engine calls as `show(phase, done, total)`, with a `close`; None for nothing."""
    if progress is False or progress is None:
        return None
    if progress is True:
        return _bar() if _is_watched() else None
    if not callable(progress):
        from ._errors import SettingError

        raise SettingError(
            f"`progress` must be True, False or a function, found {type(progress).__name__}",
            setting="progress",
            expected="True, False or a function",
            found=type(progress).__name__,
        )
    return progress


def close(show: Any) -> None:
    """Removes a bar."""
    if isinstance(show, (_Tqdm, _Line)):
        show.close()


def _is_watched() -> bool:
    """Whether somebody sees standard error: a terminal, or a notebook's cell."""
    return sys.stderr is not None and (sys.stderr.isatty() or "ipykernel" in sys.modules)


def _bar() -> Callable[[str, int, int], object]:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return _Line()
    return _Tqdm(tqdm)


class _Tqdm:
    """A tqdm bar a phase."""

    def __init__(self, tqdm: Any) -> None:
        self._tqdm = tqdm
        self._bar: Any = None
        self._phase = ""

    def __call__(self, phase: str, done: int, total: int) -> None:
        if phase != self._phase:
            self.close()
            self._bar = self._tqdm(desc=phase, total=total or None, leave=False)
            self._phase = phase
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _Line:
    """One line, rewritten."""

    def __init__(self) -> None:
        self._width = 0

    def __call__(self, phase: str, done: int, total: int) -> None:
        self._write(f"{phase}: {done:,} of {total:,}" if total else f"{phase}: {done:,}")

    def close(self) -> None:
        if self._width:
            self._write("")
            sys.stderr.write("\r")
            sys.stderr.flush()

    def _write(self, line: str) -> None:
        sys.stderr.write("\r" + line.ljust(self._width))
        sys.stderr.flush()
        self._width = len(line)
