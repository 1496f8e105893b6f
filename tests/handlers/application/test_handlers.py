"""An application's handlers in child processes: real ones, in a venv of its own."""

from __future__ import annotations

import ast
import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from jarvis_trio.errors import HandlerError, HandlerSkippedError, HandlerTimeoutError, JarvisError
from jarvis_trio.handlers.application.folders import LOCK, PREFIX
from jarvis_trio.handlers.application.handlers import BOOTSTRAP, ApplicationHandler
from jarvis_trio.handlers.application.source import make_source
from jarvis_trio.handlers.outputs import Outputs
from jarvis_trio.handlers.patience import PATIENCE, Patience
from jarvis_trio.models import HandlerResult
from tests.support.assistant_app import HANDLERS, REGISTRY, STORE, make_application
from tests.support.handler_calls import a_context, a_task
from tests.support.processes import lives

pytestmark = pytest.mark.slow


class App:
    """The application, and its handlers called as the engine calls them."""

    def __init__(self, folder: Path) -> None:
        self.folder = make_application(folder)
        self.database = folder / "data/memory.db"
        self.variables = folder / "data/application.env"
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "SECRET": "the daemon's"}
        self.outputs = Outputs(folder.parent / "runs")
        self.parts: tuple[str, ...] = (REGISTRY,)
        self.patience = PATIENCE

    def handler(self) -> ApplicationHandler:
        source = make_source(self.folder, HANDLERS, store=STORE, parts=self.parts)
        return ApplicationHandler(source, self.database, self.environment, self.variables, self.outputs, self.patience)

    def call(self, kind: str, config: object = None, *, seconds: float = 30) -> HandlerResult:
        task = replace(a_task(name="my task"), handler_type=kind, handler_config=json.dumps(config or {}))
        return self.handler()(task, replace(a_context(timeout=timedelta(seconds=seconds)), run_id=7))

    def answer(self, kind: str) -> Any:
        text = self.call(kind)
        assert isinstance(text, str)
        return json.loads(text)


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(tmp_path / "assistant")


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("webhook_dispatch", {"status": "ok", "handler": "webhook_dispatch", "pending": 1}),
        ("skill_analysis", {"status": "ok", "handler": "skill_analysis", "answers": [1, 2]}),
        ("proactive_push", {"status": "ok", "handler": "proactive_push", "agents": ["report_builder"]}),
        ("morning_brief", {"status": "ok", "handler": "morning_brief", "brief": "# Good morning"}),
        ("backup", {"status": "error", "handler": "backup", "error": "no disk"}),
    ],
)
def test_each_type_reaches_its_code_with_its_own_store_parts_and_packages(
    app: App, kind: str, answer: Mapping[str, object]
) -> None:
    assert app.answer(kind) == answer


def test_a_run_is_in_its_folder_and_its_venv_and_knows_its_slot(app: App) -> None:
    told = app.answer("where")
    assert told["folder"] == str(app.folder)
    assert told["python"] == str(app.folder / ".venv")
    assert told["variables"] == {
        "HOME": str(app.folder.parent),
        "JARVIS_TASK": "my task",
        "JARVIS_SCHEDULED_FOR": "2026-06-15T18:00:00+00:00",
        "JARVIS_ATTEMPT": "1",
        "ANTHROPIC_API_KEY": None,
        "SECRET": None,  # of the daemon's environment only what a command gets
    }


def test_the_applications_own_file_adds_variables(app: App) -> None:
    app.variables.write_text("ANTHROPIC_API_KEY=key\nSKILL_AUTO_EXEC_ENABLED=1\n")
    app.variables.chmod(0o600)
    assert app.answer("where")["variables"]["ANTHROPIC_API_KEY"] == "key"
    assert app.answer("skill_auto_exec")["status"] == "ok"


def test_a_file_of_variables_that_others_may_read_is_refused(app: App) -> None:
    app.variables.write_text("ANTHROPIC_API_KEY=key\n")
    app.variables.chmod(0o644)
    with pytest.raises(HandlerError, match=r"application\.env is open to others .* chmod 600"):
        app.call("where")


@pytest.mark.parametrize("begin", [lambda app: app.call("backup"), lambda app: app.handler().require_usable()])
def test_a_run_and_a_start_remove_what_killed_processes_left(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: Callable[[App], object]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / f"{PREFIX}left"
    left.mkdir()
    (left / LOCK).touch()
    begin(app)
    assert list(tmp_path.glob(f"{PREFIX}*")) == []


def test_what_a_handler_writes_is_the_runs_output(app: App) -> None:
    app.answer("proactive_push")
    assert sorted(app.outputs.end(7, 1000).splitlines()) == [b"a word on stderr", b"a word on stdout"]


@pytest.mark.law(4)
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("leaves", "SystemExit: a handler that leaves"),
        ("breaks", "RuntimeError: a handler that breaks"),
        ("dies", "ended without an answer: exit code 3: its last words"),
    ],
)
def test_law_4_whatever_a_handler_does_is_the_runs_error(app: App, kind: str, reason: str) -> None:
    with pytest.raises(HandlerError, match=reason):
        app.call(kind)


def test_a_thread_that_a_handler_leaves_does_not_hold_up_the_run(app: App) -> None:
    assert app.answer("threads")["status"] == "ok"


@pytest.mark.law(4)
def test_law_4_a_handler_that_hangs_is_ended_with_all_that_it_started(app: App) -> None:
    seconds = f"600.{os.getpid()}"
    with pytest.raises(HandlerTimeoutError, match=r"ended at its time limit of 1s \(processes ended: 2\)"):
        app.call("hangs", {"sleep": seconds}, seconds=1)
    assert not any(seconds in (process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))


@pytest.mark.law(2)
def test_law_2_what_cannot_be_ended_holds_its_task(app: App) -> None:
    with app.folder.joinpath("scheduler/handlers.py").open("a") as file:
        file.write("\n\ndef _waits(options, parts):\n    time.sleep(600)\n")
    app.patience = Patience(term=timedelta(0), kill=timedelta(0))  # as if no signal had any effect
    task, context = replace(a_task(), handler_type="waits"), a_context(timeout=timedelta(seconds=1))
    with pytest.raises(HandlerTimeoutError, match=r"could not be ended .*: PID \d+; until they are gone") as caught:
        app.handler()(task, context)
    pid = int(str(caught.value).partition("PID ")[2].partition(";")[0])
    (until_gone,) = context.lingering
    assert lives(pid)
    os.kill(pid, 9)
    until_gone()
    assert not lives(pid)


def test_what_the_application_has_no_code_for_is_skipped_with_its_words(app: App) -> None:
    with pytest.raises(HandlerSkippedError, match=r"^Handler 'knowledge_lint' not yet implemented$"):
        app.call("knowledge_lint")


def test_a_handler_that_chooses_to_do_nothing_has_run(app: App) -> None:
    assert app.answer("skill_auto_exec")["status"] == "skipped"


@pytest.mark.law(9)
def test_law_9_a_row_that_misspells_custom_runs_nothing(app: App) -> None:
    handlers = app.handler().beside({})
    for kind in ("custom", "Custom ", "CUSTOM"):
        assert kind not in handlers
    assert "morning_brief" in handlers


def test_another_database_than_the_daemons_is_refused(app: App, tmp_path: Path) -> None:
    app.database = tmp_path / "other.db"
    with pytest.raises(
        HandlerError, match=r"its config\.MEMORY_DB_PATH is .*assistant/data/memory\.db, and the daemon"
    ):
        app.call("webhook_dispatch")
    with pytest.raises(JarvisError, match=r"the application's handlers cannot run: .*the daemon's database is"):
        app.handler().require_usable()


def test_the_same_database_by_another_path_is_the_same(app: App, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(app.folder / "data")
    app.database = tmp_path / "link/memory.db"
    assert app.answer("webhook_dispatch")["pending"] == 1


def test_a_look_finds_nothing_wrong_with_an_application_that_works(app: App) -> None:
    seen = app.handler().require_usable()
    assert (seen.problems, seen.missing) == ((), ())


def test_a_look_names_the_packages_that_only_a_run_would_miss(app: App) -> None:
    (app.folder / ".venv").rename(app.folder / "gone")
    optional = "try:\n    import optional\nexcept ImportError:\n    pass\n"
    later = "def call():\n    import anthropic\n    from . import deeper\n"
    app.folder.joinpath("scheduler/later.py").write_text(later + optional)
    app.folder.joinpath("scheduler/deeper.py").write_text("import chromadb.api, json, config\n")
    with app.folder.joinpath("scheduler/handlers.py").open("a") as file:
        file.write("\n\ndef _later(options, parts):\n    from .later import call\n")
    (app.folder / "venv").symlink_to("gone")
    next((app.folder / "gone").glob("lib/python*/site-packages/only_in_its_venv.py")).unlink()
    assert app.handler().look().missing == ("anthropic", "chromadb", "only_in_its_venv")


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        (("registry=agents.nothing:Registry",), "cannot import agents.nothing:Registry: ModuleNotFoundError"),
        (("registry=agents.registry:Registry",), "cannot import agents.registry:Registry: AttributeError"),
        (("r=agents.registry:AgentRegistry:NOTHING",), "AgentRegistry:NOTHING: AttributeError"),
        (("r=config:AGENT_CONFIGS_DIR",), "config:AGENT_CONFIGS_DIR is not callable"),
    ],
)
def test_what_cannot_be_imported_is_told_before_anything_runs(app: App, parts: tuple[str, ...], problem: str) -> None:
    app.parts = parts
    with pytest.raises(JarvisError, match=problem):
        app.handler().require_usable()


def test_an_application_that_ends_at_its_import_is_told(app: App) -> None:
    (app.folder / "scheduler/handlers.py").write_text("raise SystemExit('not today')")
    with pytest.raises(JarvisError, match="SystemExit: not today"):
        app.handler().require_usable()


def test_the_program_in_its_interpreter_is_for_python_3_9() -> None:
    ast.parse(BOOTSTRAP.read_text(), feature_version=(3, 9))


def test_an_answer_without_end_is_an_error(app: App, caplog: pytest.LogCaptureFixture) -> None:
    with app.folder.joinpath("scheduler/handlers.py").open("a") as file:
        file.write("\n\ndef _endless(options, parts):\n    return {'text': 'x' * 17_000_000}\n")
    with caplog.at_level(logging.WARNING), pytest.raises(HandlerError, match=r"its answer has .* bytes; at most"):
        app.call("endless")
