"""Unit tests of what commands print: summaries, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC

import pytest

from jarvis_trio.cli.commands.output import print_lines
from jarvis_trio.cli.output import print_json, print_live, say, say_text
from jarvis_trio.desk.words import definition_words, result_summary, run_summary
from jarvis_trio.models import Run, RunStatus
from tests.support.core_fakes import START, a_task

RUN = Run(1, 1, "job", START, 1, START, RunStatus.EXECUTED)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("plain", "plain"),
        ({"status": "ok", "stdout": "one\nlast\n\n"}, "last"),
        ({"status": "ok", "stdout": ""}, ""),
        ({"rules": 3, "triggered": [], "note": None}, "rules 3"),
        ([1, 2], "[1, 2]"),
    ],
)
def test_a_result_is_summed_up_in_a_line(value: object, text: str) -> None:
    assert result_summary(value) == text


def test_the_reason_goes_before_the_result() -> None:
    assert run_summary(replace(RUN, status=RunStatus.ERROR, reason="no", result='{"stdout": "yes"}')) == "no"
    assert run_summary(replace(RUN, result="not JSON")) == "not JSON"


def test_a_delivery_that_failed_goes_before_the_result_and_after_the_reason() -> None:
    failed = replace(RUN, result='"yes"', delivery='{"channel": "email", "error": "email: refused"}')
    assert run_summary(failed) == "not delivered: email: refused"
    assert run_summary(replace(failed, status=RunStatus.ERROR, reason="no")) == "no; not delivered: email: refused"
    assert run_summary(replace(failed, delivery='{"channel": "email", "status": "sent", "to": "me"}')) == "yes"


@pytest.mark.parametrize("config", ["}{", "[]", '{"command": 5}', '{"command": ["a"], "more": 1}', None])
def test_a_configuration_that_makes_no_sense_is_shown_as_it_is(config: str | None) -> None:
    words = definition_words(a_task(handler="custom", handler_config=config, policy=None), UTC)
    assert words["handler"] == " ".join(filter(None, ("custom", config)))


def test_a_policy_that_makes_no_sense_is_shown_as_it_is() -> None:
    task = replace(a_task(), policy='{"retries": "many"}')
    assert definition_words(task, UTC)["policy"] == '{"retries": "many"}'


def test_of_a_long_list_each_element_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    value = [{"number": number} for number in range(1001)]
    print_json(value)
    printed = capsys.readouterr().out
    assert json.loads(printed) == value
    assert len(printed.splitlines()) == len(value)


def test_nothing_printed_can_act_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[2Jb\nc")
    say_text("x\ty\r\n\x9b1m")
    print_json({"name": "\x9b\u202e\x1b"})
    assert capsys.readouterr().out.splitlines() == [
        r"a\x1b[2Jb\nc",
        "  x       y",
        r"  \x9b1m",
        "{",
        r'  "name": "\u009b\u202e\u001b"',
        "}",
    ]


def test_a_run_is_shown_in_whole_characters_without_escapes(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    euro = "€".encode()
    assert print_live([b"\x1b[3", b"1m", euro[:2], euro[2:], b"\xff\r\n"])
    assert not print_live([])
    assert capfdbinary.readouterr().out.decode() == "€\ufffd\r\n"


@pytest.mark.parametrize(
    ("pieces", "written"),
    [
        ([b"Password", b": ", b"ok\n"], ["Password", ": ", "ok", "\n"]),
        ([b"10%", b"\r100%", b"\rok", b"\n"], ["10%", "\r   \r100%", "\r    \rok", "\n"]),
        ([b"one\ntwo", b" and\nthree\n"], ["one\ntwo", " and\nthree\n"]),
        ([b"a\x1b[3", b"1mb"], ["a", "b", "\n"]),
        (["€".encode()[:2], "€".encode()[2:]], ["", "€", "\n"]),
        ([b"x" * 50, b"\r" + b"y" * 50], ["x" * 50, "\n" + "y" * 50, "\n"]),
    ],
)
def test_a_line_is_shown_before_it_ends(
    capsys: pytest.CaptureFixture[str], pieces: list[bytes], written: list[str]
) -> None:
    seen = []

    def coming() -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            seen.append(capsys.readouterr().out)

    print_lines(coming(), 40)
    assert "".join(seen) + capsys.readouterr().out == "".join(written)
    assert seen[0] == written[0]


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [([b"no newline"], "no newline\n"), ([b"cut \xe2\x82"], "cut \ufffd\n"), ([b"a\n", b"b\n"], "a\nb\n")],
)
def test_the_last_line_of_what_a_run_writes_ends(
    capsys: pytest.CaptureFixture[str], pieces: list[bytes], shown: str
) -> None:
    assert print_live(pieces)
    assert capsys.readouterr().out == shown
