"""The old agents that ours replaced: what to bring back, kept beside their plists.

The plists alone do not say which agents were loaded, nor that one was loaded from a plist
outside LaunchAgents; so there is a record.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

from jarvis_trio.errors import LaunchdError

RECORD_NAME = "replaced.json"


@dataclass(frozen=True, slots=True)
class Replaced:
    """One old agent as it was.

    Attributes:
        loaded_from: the plist that launchd had loaded; None if it was not loaded.
        moved_from: its plist in LaunchAgents; None without one.
        kept_as: the name of that plist in this folder now; None without one.
    """

    loaded_from: str | None = None
    moved_from: str | None = None
    kept_as: str | None = None


def read_record(folder: Path) -> dict[str, Replaced]:
    """What the record in `folder` says, by label; empty without a record.

    Raises LaunchdError for a record that cannot be understood.
    """
    path = folder / RECORD_NAME
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {label: Replaced(**entry) for label, entry in entries.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise LaunchdError(
            f"cannot read {path} ({error})",
            fix="put it right, or move the plists beside it back by hand and delete it",
        ) from None


def record_bytes(entries: Mapping[str, Replaced]) -> bytes:
    """The record's file, for people to read as well."""
    return (json.dumps({label: asdict(entry) for label, entry in entries.items()}, indent=2) + "\n").encode()


def free_place(folder: Path, label: str) -> Path:
    """A free name for the plist of `label`: one that was kept earlier stays."""
    return next(place for place in _places(folder, label) if not os.path.lexists(place))


def _places(folder: Path, label: str) -> Iterator[Path]:
    yield folder / f"{label}.plist"
    yield from (folder / f"{label}.{number}.plist" for number in count(2))
