"""Unit tests of text made fit for a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_trio.text import printable


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("line\nbreak\r\n", r"line\nbreak\r\n"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("tab\tnul\0del\x7f", r"tab\tnul\x00del\x7f"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
        ("\u202egpj.exe\u202c", r"\u202egpj.exe\u202c"),
        ("\u2066\u2069\u200f\u061c", r"\u2066\u2069\u200f\u061c"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("\udcff", r"\udcff"),
    ],
)
def test_what_acts_on_a_terminal_is_escaped(raw: str, shown: str) -> None:
    assert printable(raw) == shown


@pytest.mark.parametrize("text", ["", "plain", "Grüße, 東京, العربية, עברית", "👩\u200d💻", r"C:\new", "a\u00a0b"])
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@given(st.text())
def test_the_result_is_one_line_that_every_stream_takes(text: str) -> None:
    shown = printable(text)
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert len(shown.splitlines()) <= 1
    assert printable(shown) == shown
