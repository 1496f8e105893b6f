"""Tests of the documents' pictures: how output becomes one, and that the day they show can be lived."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from docs.terminal_svg import terminal_svg
from tests.support.cli_world import CHECKOUT

PICTURES = CHECKOUT / "docs" / "pictures"
NAMES = ["history", "list", "status", "timeline"]
RED, BOLD, DIM, PLAIN = "\x1b[31m", "\x1b[1m", "\x1b[2m", "\x1b[0m"

Words = tuple[str, float, str | None]


def words(svg: str) -> list[Words]:
    """The words of a picture, without the prompt: text, column and class."""
    texts = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return [(text.text or "", (float(text.get("x", "")) - 16) / 8.4, text.get("class")) for text in texts][1:]


def test_words_stand_in_their_columns() -> None:
    [name, next_run] = words(terminal_svg("list", "backup  in 4 min\n"))
    assert name == ("backup", 0, None)
    assert next_run == ("in 4 min", pytest.approx(8, abs=0.01), None)


def test_colours_become_classes() -> None:
    found = words(terminal_svg("list", f"{BOLD}{RED}error{PLAIN} {DIM}7{PLAIN} {BOLD}job{PLAIN}"))
    assert [kind for _, _, kind in found] == ["red bold", "faint", "bold"]


def test_text_is_escaped() -> None:
    assert words(terminal_svg("list", "<script>&"))[0][0] == "<script>&"


def test_the_picture_is_as_wide_as_the_longest_line() -> None:
    assert ElementTree.fromstring(terminal_svg("list", "x" * 100)).get("width") == "872"


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_small_and_names_no_host(name: str) -> None:
    text = (PICTURES / f"{name}.svg").read_text()
    ElementTree.fromstring(text)
    assert len(text) < 64_000
    assert set(re.findall(r"\w+://[^\"')\s]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "prefers-color-scheme: dark" in text


def test_the_picture_of_the_live_screen_names_no_host() -> None:
    text = (PICTURES / "watch.svg").read_text()
    ElementTree.fromstring(text)
    assert len(text) < 72_000
    assert set(re.findall(r"\w+://[^\"')\s]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "thumbnails" in text


@pytest.mark.thorough
@pytest.mark.slow
def test_the_day_can_be_lived_and_drawn(tmp_path: Path) -> None:
    # In a process of its own: it sets the environment, and signals go to its main thread. The day takes two seconds.
    script = (
        "from pathlib import Path; from docs.make_pictures import Day\nDay(Path('data'), rate=40_000).draw(Path('.'))"
    )
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True, timeout=180)
    assert sorted(path.stem for path in tmp_path.glob("*.svg")) == sorted([*NAMES, "watch"])
    # So fast that much comes late, and nobody can say what failed.
    assert {"backup", "thumbnails"} <= {text for text, _, _ in words((tmp_path / "list.svg").read_text())}
    assert "backup: executed" in (tmp_path / "timeline.svg").read_text()
