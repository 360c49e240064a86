"""What the command line says of an error that ends it, and whether trying again may help."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from conf.errors import ConcurrentWrite, DayfoldError, OnlineStoreError

_IN_WORDS = {
    errno.ENOENT: "there is no such file or folder, and none can be made there",
    errno.EEXIST: "a file stands there, expected a folder",
    errno.ENOTDIR: "a file stands where a folder is expected",
    errno.EISDIR: "it is a folder, expected a file",
    errno.EACCES: "you may not read or write there",
    errno.EPERM: "you may not read or write there",
    errno.EROFS: "its file system can only be read",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your share of the disk is full",
}
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_OF_A_PATH = frozenset(_IN_WORDS) - _FULL
_FLAGS = ("--lake", "--raw", "--mapping", "--source", "--file", "--out")
_VARIABLES = ("DAYFOLD__LAKE", "DAYFOLD__RAW", "DAYFOLD__KEY_FILE", "DAYFOLD__HOME")


def is_bug(error: Exception) -> bool:
    """Whether `error` is no mistake of the user's that a message could explain."""
    named = isinstance(error, OSError) and error.filename is not None
    return not (named or isinstance(error, DayfoldError | UnicodeError | PermissionError))


def may_pass(error: Exception, arguments: Sequence[str]) -> bool:
    """Whether the same command may pass later: a race or a connection was lost, a disk is full.

    What a step does not find may have vanished under it: a scheduler is to try that again.
    """
    if isinstance(error, OSError):
        vanished = error.errno == errno.ENOENT and "step" in arguments[:1]
        return vanished or (error.errno is not None and error.errno not in _OF_A_PATH)
    return isinstance(error, ConcurrentWrite | OnlineStoreError)


def message(
    error: Exception, arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> str:
    """What is said of `error`: its own words, or of a path what is wrong and who named it.

    Args:
        error: what ended the command.
        arguments: the command line, without the program.
        environment: the variables of the process.
    """
    if not isinstance(error, OSError) or error.filename is None:
        return str(error)
    path = os.fsdecode(error.filename) if not isinstance(error.filename, int) else "a file"
    wrong = _IN_WORDS.get(error.errno or 0, error.strerror or type(error).__name__)
    if error.errno in _FULL:
        return f"{path}: {wrong}. Next: make room there, then run the same command again."
    source = _source(path, arguments, os.environ if environment is None else environment)
    if source is None:
        return (
            f"{path}: {wrong}. Next: look at what is there, or name another place "
            "(--lake, --raw, DAYFOLD__HOME), then run the same command again."
        )
    return f"{path}: {wrong} (from {source}). Next: {_ADVICE.format(source=source.split()[0])}"


_ADVICE = "give {source} another path, or mend that one, then run the same command again."


def _source(path: str, arguments: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """The flag or variable that named `path`, with what it says: the nearest, flags first."""
    about = _real(path)
    found = [
        # The nearest, and of two as near the more special one.
        ((-abs(len(about.parts) - len(named.parts)), len(named.parts)), f"{name} {given}")
        for name, given in (*_given(arguments), *_set(environment))
        if given and _is_about(about, named := _real(given))
    ]
    if not found:
        return None
    # max() takes the first of equals: a flag is also in the environment, for child processes.
    return max(found, key=lambda row: row[0])[1]


def _given(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    for number, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag in _FLAGS:
            yield flag, value if equals else "".join(arguments[number + 1 : number + 2])


def _set(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for variable in _VARIABLES:
        if variable in environment:
            yield variable, environment[variable]


def _real(path: str) -> Path:
    return Path(path).absolute()


def _is_about(path: Path, given: Path) -> bool:
    """Whether `path` is `given`, lies in it, or is a folder above it that could not be made."""
    return path.is_relative_to(given) or given.is_relative_to(path)
