"""What `jarvis_trio` offers by name, and that it costs nothing until it is used."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import jarvis_trio


@pytest.mark.parametrize("name", jarvis_trio.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(jarvis_trio, name).__doc__


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Scheduler'"):
        _ = jarvis_trio.Scheduler


@pytest.mark.parametrize("room", ["daemon", "engine", "testing"])
def test_a_room_that_hands_on_its_names_later_knows_which_it_has(room: str) -> None:
    package = importlib.import_module(f"jarvis_trio.{room}")
    assert all(getattr(package, name).__doc__ for name in package.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Scheduler'"):
        _ = package.Scheduler


def test_importing_the_package_imports_nothing_of_it() -> None:
    code = "import sys, jarvis_trio; print([name for name in sys.modules if name.startswith('jarvis_trio.')])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
