"""Where the files of `make test` are."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.support.memory_folder import folder


def test_it_is_in_memory_if_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    assert folder(tmp_path, needed=1) == str(tmp_path)


def test_it_is_the_usual_one_without_room_or_folder_or_if_somebody_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    assert folder(tmp_path, needed=1 << 60) == tempfile.gettempdir()
    assert folder(tmp_path / "none", needed=1) == tempfile.gettempdir()

    monkeypatch.setenv("TMPDIR", str(tmp_path.parent))
    assert folder(tmp_path, needed=1) == tempfile.gettempdir()
