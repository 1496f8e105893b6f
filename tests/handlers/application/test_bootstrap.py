"""What the program in the application's interpreter finds missing, by reading files alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from jarvis_trio.handlers.application.bootstrap import missing_packages


def missing(folder: Path, text: str) -> list[str]:
    """The packages that a module with this text lacks."""
    (folder / "application.py").write_text(text)
    return missing_packages(str(folder), "application")


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    import tomllib\nexcept ImportError:\n    import nobodys\n",
        "try:\n    import nobodys\nexcept BaseException:\n    nobodys = None\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import nobodys\n",
        "import typing\nif typing.TYPE_CHECKING:\n    from nobodys import thing\n",
        "try:\n    import nobodys\nexcept:\n    nobodys = None\n",
        "this is not Python",
    ],
)
def test_an_import_that_may_fail_is_not_missing(tmp_path: Path, text: str) -> None:
    assert missing(tmp_path, text) == []


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    import nobodys\nexcept ValueError:\n    pass\n",
        "try:\n    import tomllib\nexcept ImportError:\n    pass\nelse:\n    import nobodys\n",
        "TYPE_CHECKING = False\nif not TYPE_CHECKING:\n    import nobodys\n",
        "if TYPE_CHECKING:\n    import json\nelse:\n    import nobodys\n",
    ],
)
def test_an_import_that_must_not_fail_is(tmp_path: Path, text: str) -> None:
    assert missing(tmp_path, text) == ["nobodys"]
