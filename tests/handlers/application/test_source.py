"""How a person names the application, and which tasks are the application's."""

from __future__ import annotations

from pathlib import Path

import pytest

from jarvis_trio.errors import JarvisError
from jarvis_trio.handlers.application.source import HandlerSource, make_source
from tests.support.assistant_app import HANDLERS, REGISTRY, STORE

BUILT_IN = {"alert_eval": None, "custom": None, "webhook_poll": None}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An application's folder with an interpreter in each place where one may be."""
    for name in (".venv", "venv", "elsewhere"):
        python = tmp_path / name / "bin/python"
        python.parent.mkdir(parents=True)
        python.touch(0o755)
    return tmp_path


def test_its_own_venv_is_found(folder: Path) -> None:
    assert make_source(folder, HANDLERS).python == folder / ".venv/bin/python"
    (folder / ".venv/bin/python").unlink()
    assert make_source(folder, HANDLERS).python == folder / "venv/bin/python"


def test_an_interpreter_that_is_named_wins(folder: Path) -> None:
    python = folder / "elsewhere/bin/python"
    assert make_source(folder, HANDLERS, python=python).python == python


def test_without_an_interpreter_it_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(JarvisError, match=r"no interpreter of the application at .*; name it: --app-python PATH"):
        make_source(tmp_path, HANDLERS)


def test_its_words_make_the_same_application_again(folder: Path) -> None:
    source = make_source(folder, HANDLERS, store=STORE, parts=(REGISTRY,), instead_of="webhook_poll,alert_eval")
    assert source.arguments == (
        *("--app-dir", str(folder), "--handlers", HANDLERS, "--app-python", str(source.python), "--store", STORE),
        *("--part", REGISTRY, "--instead-of", "alert_eval,webhook_poll"),
    )


@pytest.mark.parametrize("reference", ["scheduler.handlers", ":call", "a:b:c", "a b:c", "-m:x"])
def test_a_reference_that_makes_no_sense_is_refused(folder: Path, reference: str) -> None:
    with pytest.raises(JarvisError, match="not MODULE:ATTR"):
        make_source(folder, reference)


@pytest.mark.parametrize("part", ["agents.registry:AgentRegistry", "name=", "name=module", "1=a:b", "name=a:b:c:d"])
def test_a_part_that_makes_no_sense_is_refused(folder: Path, part: str) -> None:
    with pytest.raises(JarvisError, match=r"not NAME=MODULE:ATTR\[:CONSTANT\]"):
        make_source(folder, HANDLERS, parts=(part,))


def source(instead_of: frozenset[str] = frozenset()) -> HandlerSource:
    return HandlerSource(Path("/app"), HANDLERS, Path("/app/python"), instead_of=instead_of)


@pytest.mark.parametrize(
    ("handler_type", "theirs"),
    [("morning_brief", True), ("backup", True), ("alert_eval", False), ("webhook_poll", False), ("custom", False)],
)
def test_every_type_that_is_not_ours_is_the_applications(handler_type: str, theirs: bool) -> None:
    assert source().takes(handler_type, BUILT_IN) is theirs


def test_a_built_in_type_can_be_the_applications(folder: Path) -> None:
    assert source(frozenset({"alert_eval"})).takes("alert_eval", BUILT_IN)


@pytest.mark.law(9)
@pytest.mark.parametrize("handler_type", ["custom", "Custom", "custom ", " custom", "CUSTOM", "cust\u043em", "", "a b"])
def test_law_9_no_spelling_of_custom_reaches_the_application(handler_type: str) -> None:
    """The application strips and lower-cases a type, and would run the row's command past the approvals."""
    assert not source(frozenset({"custom"})).takes(handler_type, BUILT_IN)


@pytest.mark.law(9)
def test_law_9_custom_cannot_be_given_to_the_application(folder: Path) -> None:
    with pytest.raises(JarvisError, match=r"custom tasks always run here.*leave custom out of --instead-of"):
        make_source(folder, HANDLERS, instead_of="alert_eval, custom")
