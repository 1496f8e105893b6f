"""What `jarvis_trio` itself offers."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import jarvis_trio


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("CronExpression", "schedules.cron"),
        ("Engine", "daemon"),
        ("JarvisDaemon", "daemon"),
        ("MemoryStore", "store"),
        ("SchedulerEngine", "engine"),
        ("calculate_next_run", "schedules.schedule"),
    ],
)
def test_a_public_name_is_that_of_its_module(name: str, module: str) -> None:
    assert getattr(jarvis_trio, name) is getattr(importlib.import_module(f"jarvis_trio.{module}"), name)


def test_any_other_name_is_missed_as_of_every_module() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Nonsense'"):
        exec("from jarvis_trio import Nonsense")


def test_the_package_alone_loads_none_of_its_modules() -> None:
    script = "import sys, jarvis_trio; print(*(name for name in sys.modules if name.startswith('jarvis_trio.')))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=180)
    assert done.stdout.split() == []
