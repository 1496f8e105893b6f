"""Secrets: from the environment or a file of mode 0600, never from a row, never into an error."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

from jarvis_trio.errors import DeliveryError
from jarvis_trio.permission import permission_fix
from jarvis_trio.reading import read_whole

FILE_NAMES = ("secrets.env", "delivery-secrets.env")
"""The files in the data folder. Version 1.0.0 had only the second, and none for commands."""

_REFERENCE = re.compile(r"(?:env:|\$)([A-Za-z_][A-Za-z0-9_]*)")
_URL = re.compile(r"([\w+.-]+)://(?:([^:@/]*)(?::(.*))?@)?([^:/?#]*)(?::\d+(?![^/?#]))?(.*)", re.DOTALL)
# Shorter parts hide nothing, and blacking them out would garble every error.
_SHORTEST_PART = 4
# Elsewhere even the host can be a token: tgram://TOKEN/CHAT.
_HOST_IS_PUBLIC = ("http", "https", "smtp", "smtps")


def reference(text: str) -> str | None:
    """The name in `env:NAME` or `$NAME`; None for other text.

    Only a whole value can be a reference, so a row cannot build an address with a secret in it.
    """
    found = _REFERENCE.fullmatch(text)
    return found[1] if found else None


class Secrets:
    """The secrets of one delivery; it remembers those it gave out, to keep them out of errors.

    Args:
        environment: the daemon's own variables, which go before the files.
        folder: the data folder, which may hold `FILE_NAMES`; None if there is none.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path | None) -> None:
        self._environment = environment
        self._folder = folder
        self._given: set[str] = set()

    def get(self, name: str, *, public: bool = False) -> str | None:
        """The value of `name`: the environment's, or else the file's; None if neither has one.

        A `public` value, such as the sender's address, may appear in errors. Raises
        DeliveryError for a file that others may read or that cannot be understood.
        """
        value = self._environment.get(name) or (read_secrets(self._folder) if self._folder else {}).get(name)
        if value and not public:
            self.conceal(value)
        return value or None

    @property
    def places(self) -> str:
        """Where a secret can be set, for the fix of an error."""
        return f"the environment or in {self._folder / FILE_NAMES[0]}" if self._folder else "the environment"

    def require(self, name: str) -> str:
        """As `get`; raises DeliveryError if there is no value."""
        value = self.get(name)
        if value is None:
            raise DeliveryError(f"{name} is not set", fix=f"set it in {self.places}")
        return value

    def conceal(self, secret: str) -> None:
        """Keep `secret` and its parts out of what `redact` lets through."""
        self._given.update(_parts(secret))

    def redact(self, text: str) -> str:
        """`text` without any secret that was given out."""
        for part in sorted(self._given, key=len, reverse=True):
            text = text.replace(part, "***")
        return text


def read_secrets(folder: Path) -> dict[str, str]:
    """The secrets in the files of the data folder.

    Raises DeliveryError as `read_variables` does.
    """
    found: dict[str, str] = {}
    for name in FILE_NAMES:
        found = read_variables(folder / name) | found
    return found


def read_variables(path: Path) -> dict[str, str]:
    """The lines `NAME=value` of a file that only the user may open; none if it is missing.

    Raises DeliveryError for a file that others may read or that cannot be understood.
    """
    try:
        # Non-blocking, as a FIFO of that name would hold up the delivery forever.
        with open(path, "rb", opener=lambda p, f: os.open(p, f | os.O_NONBLOCK)) as file:
            _check_private(path, os.fstat(file.fileno()))
            return dict(_assignments(path, read_whole(file).decode()))
    except FileNotFoundError:
        return {}
    except OSError as error:
        says = f"cannot read the secrets file {path}: {error.strerror}"
        raise DeliveryError(says, fix=permission_fix(path, error)) from None
    except UnicodeDecodeError as error:
        raise DeliveryError(f"cannot read the secrets file {path}: {error}") from None


def _check_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise DeliveryError(f"the secrets file {path} is not a plain file")
    if status.st_uid != os.geteuid():
        raise DeliveryError(
            f"the secrets file {path} belongs to user {status.st_uid}, not to you", fix="write your own"
        )
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o177:
        raise DeliveryError(
            f"the secrets file {path} is open to others (mode {mode:04o})", fix=f"run: chmod 600 {path}"
        )


def _assignments(path: Path, text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if not equals or not name.strip().isidentifier():
            # Not the line itself: it may hold a secret.
            raise DeliveryError(f"line {number} of the secrets file {path} is not NAME=value")
        yield name.strip(), _unquoted(value.strip())


def _unquoted(value: str) -> str:
    quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else value


def _parts(secret: str) -> set[str]:
    """The texts in which `secret` could show up in an error: whole, and a URL's private parts."""
    parts = {secret}
    private = secret
    if found := _URL.fullmatch(secret):
        scheme, user, password, host, rest = (part or "" for part in found.groups())
        parts |= {password, rest}
        private = f"{password} {rest}" if scheme in _HOST_IS_PUBLIC else f"{user} {password} {host} {rest}"
    parts |= {part for part in re.split(r"[^\w.%~+-]+", private) if len(part) >= _SHORTEST_PART}
    return (parts | {unquote(part) for part in parts}) - {""}
