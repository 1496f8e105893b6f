"""The registry of handlers, with packages that are really installed."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jarvis_trio.errors import HandlerError
from jarvis_trio.handlers.approvals import Approvals
from jarvis_trio.handlers.custom import Custom
from jarvis_trio.handlers.registry import Handlers, built_in, installed
from tests.support.handler_calls import a_context, a_task

CHECKOUT = Path(__file__).parents[2]
GREETER = """
def greet(task, context):
    return {"greeting": f"hello {task.name}"}
"""

Install = Callable[..., None]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "site"


@pytest.fixture
def install(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs the package `jarvis-greeter` as pip does: its module, and a folder of metadata beside it."""

    def install_greeter(module: str, *entries: str) -> None:
        metadata = site / "jarvis_greeter-1.0.dist-info"
        metadata.mkdir(parents=True)
        (site / "jarvis_greeter.py").write_text(module)
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: jarvis-greeter\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text("\n".join(["[jarvis_trio.handlers]", *entries]))
        monkeypatch.syspath_prepend(site)

    yield install_greeter
    sys.modules.pop("jarvis_greeter", None)


def test_the_built_in_handlers_are_those_of_the_design(tmp_path: Path) -> None:
    handlers = built_in(
        inbox_dir=tmp_path, commands=Custom(Approvals(tmp_path / "list")), notify=lambda title, text: None
    )
    assert sorted(handlers) == ["alert_eval", "custom", "remind", "webhook_poll"]


def test_an_installed_package_brings_a_handler(install: Install, site: Path) -> None:
    install(GREETER, "greeting = jarvis_greeter:greet")
    code = """
import json, sys
sys.path.insert(0, "tests")
from tests.support.handler_calls import a_context, a_task
from jarvis_trio.handlers.registry import Handlers
handlers = Handlers({})
known = "greeting" in handlers
imported = "jarvis_greeter" in sys.modules
print(json.dumps([known, imported, handlers["greeting"](a_task(), a_context())]))
"""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, env=environment, capture_output=True, check=True)
    assert json.loads(done.stdout) == [True, False, {"greeting": "hello nightly"}]


def test_an_unknown_type_has_no_handler(install: Install) -> None:
    install(GREETER, "greeting = jarvis_greeter:greet")
    handlers = Handlers({"custom": print})
    assert "skill_analysis" not in handlers
    with pytest.raises(KeyError):
        handlers["skill_analysis"]


def test_given_and_installed_handlers_are_listed_together(install: Install) -> None:
    install(GREETER, "greeting = jarvis_greeter:greet", "custom = jarvis_greeter:greet")
    handlers = Handlers({"custom": print})
    assert {"custom", "greeting"} <= set(handlers)
    assert len(handlers) == len(set(handlers))


def test_a_given_handler_wins_over_an_installed_one_with_a_warning(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install(GREETER, "custom = jarvis_greeter:greet")
    handlers = Handlers({"custom": print})
    with caplog.at_level(logging.WARNING):
        assert "greeting" not in handlers
        assert "something" not in handlers
    assert handlers["custom"] is print
    assert [record.getMessage() for record in caplog.records] == [
        "An installed handler 'custom' is passed over, because that type is built in"
    ]


def test_packages_are_looked_for_only_when_a_type_is_not_built_in() -> None:
    code = """
import sys
import jarvis_trio.handlers.registry as handlers
known = handlers.Handlers({"custom": print})
known["custom"]
print("importlib.metadata" in sys.modules, "psutil" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, check=True, text=True)
    assert done.stdout == "False False\n"


@pytest.mark.law(4)
@pytest.mark.parametrize(
    ("module", "entry", "reason"),
    [
        ("import no_such_module", "jarvis_greeter:greet", "No module named 'no_such_module'"),
        ("def greet(:", "jarvis_greeter:greet", "invalid syntax"),
        (GREETER, "jarvis_greeter:wave", "has no attribute 'wave'"),
        (GREETER, "jarvis_waver:wave", "No module named 'jarvis_waver'"),
    ],
)
def test_law_4_a_handler_that_cannot_be_imported_is_its_tasks_error(
    install: Install, module: str, entry: str, reason: str
) -> None:
    install(module, f"greeting = {entry}")
    handler = installed()["greeting"]
    message = rf"^handler 'greeting' \({entry}\) cannot be imported: .*{reason}.*; fix or reinstall jarvis-greeter$"
    with pytest.raises(HandlerError, match=message):
        handler(a_task(), a_context())


def test_an_installed_handler_has_its_own_grace_once_it_is_imported(install: Install) -> None:
    module = f"from datetime import timedelta\n{GREETER}\ngreet.grace = timedelta(seconds=7)"
    install(module, "greeting = jarvis_greeter:greet", "broken = jarvis_greeter:wave")
    handler: Any = installed()["greeting"]
    broken: Any = installed()["broken"]
    assert handler.grace == broken.grace == timedelta(0)
    assert "jarvis_greeter" not in sys.modules
    handler(a_task(), a_context())
    assert handler.grace == timedelta(seconds=7)


def test_an_entry_that_is_no_callable_is_its_tasks_error(install: Install) -> None:
    install("greet = 7", "greeting = jarvis_greeter:greet")
    with pytest.raises(HandlerError, match="cannot be called; fix jarvis-greeter"):
        installed()["greeting"](a_task(), a_context())
