"""What splindex raises: `Error`, a `ValueError`, and its kinds.

Besides, what the system refuses is an `OSError` (a full disk, no permission), and Ctrl-C a
`KeyboardInterrupt`.
"""

from __future__ import annotations

import errno
from typing import Any


class Error(ValueError):
    """What splindex refuses. Fields that do not apply are None."""

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        #: What was expected, if the message says so.
        self.expected: str | None = fields.get("expected")
        #: What was found instead.
        self.found: str | None = fields.get("found")

    def __str__(self) -> str:
        return str(self.args[0])


class DataError(Error):
    """A file, or what was given in memory (`<vectors>`, `<texts>`), is not what it must be."""

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message, **fields)
        #: The file.
        self.path: str | None = fields.get("path")
        #: A line of a text file, from 1.
        self.line: int | None = fields.get("line")
        #: A record, from 1.
        self.record: int | None = fields.get("record")
        #: A section of an index file.
        self.section: str | None = fields.get("section")
        #: What to do about it.
        self.hint: str | None = fields.get("hint")


class MissingFileError(DataError, FileNotFoundError):
    """A file or folder that is to be read is not there."""

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.errno = errno.ENOENT
        self.filename = fields.get("path")

    def __reduce__(self) -> tuple[Any, ...]:
        # OSError keeps the file's name where no pickle looks.
        return _missing, (str(self), vars(self))


def _missing(message: str, fields: dict[str, Any]) -> MissingFileError:
    return MissingFileError(message, **fields)


class SettingError(Error):
    """A keyword has a value that it cannot have."""

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message, **fields)
        #: The keyword.
        self.setting: str | None = fields.get("setting")


class UsageError(Error):
    """Arguments do not go together, or not with the data; or the index is closed."""


class UnknownIdError(Error, KeyError):
    """A document id that the index does not have."""


class InternalError(Error, RuntimeError):
    """A promise inside splindex did not hold: a bug worth reporting."""


for _kind in (Error, *Error.__subclasses__(), MissingFileError):
    # Tracebacks and pickles name them as users do.
    _kind.__module__ = "splindex"
