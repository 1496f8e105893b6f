"""The identity of a machine: made once, kept in its data folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from jarvis_trio.errors import StoreError
from jarvis_trio.process.machine import machine_identity


def test_it_stays_and_belongs_to_one_folder_alone(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    one, two = map(machine_identity, folders)
    assert one == machine_identity(folders[0]) != two


def test_one_that_cannot_be_kept_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot keep this machine's identity in .*No such file") as told:
        machine_identity(tmp_path / "nowhere")
    assert "\n" not in str(told.value)
