"""The secrets of commands: read when a command starts, and kept nowhere.

A row only names them. They come from the daemon's environment or from `secrets.env` in the data
folder, which the channels read as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from jarvis_trio.delivery.secrets import FILE_NAMES, read_secrets
from jarvis_trio.errors import DeliveryError, HandlerError
from jarvis_trio.handlers.trust import shown
from jarvis_trio.notation.text import joined


class CommandSecrets:
    """What commands may be given.

    Args:
        environment: the daemon's own.
        folder: the data folder, with the file; None if there is none.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path | None) -> None:
        self._environment = environment
        self._folder = folder

    def values(self, names: Iterable[str]) -> dict[str, str]:
        """The secrets of these names.

        Raises HandlerError if one is missing; the error holds none of the values.
        """
        names = list(names)
        if not names:
            return {}
        known = self._read() | {name: self._environment[name] for name in names if self._environment.get(name)}
        if missing := [name for name in names if not known.get(name)]:
            places = "the daemon's environment"
            if self._folder is not None:
                file = shown(self._folder / FILE_NAMES[0])
                places = f"{file} (a line {missing[0]}=value; chmod 600), or in {places}"
            raise HandlerError(
                f"the command needs the secret {joined(missing)}, which is not set", fix=f"set it in {places}"
            )
        return {name: known[name] for name in names}

    def _read(self) -> dict[str, str]:
        try:
            return read_secrets(self._folder) if self._folder is not None else {}
        except DeliveryError as error:
            raise HandlerError(error.says, fix=error.fix) from None
