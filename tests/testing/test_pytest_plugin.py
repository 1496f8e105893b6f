"""Tests of the fixture in a pytest run of its own, as a user's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
CONFTEST = 'pytest_plugins = ["jarvis_trio.pytest_plugin"]\n'
TESTS = """
import threading

made = []


def test_makes_two_and_fails(simulation):
    for zone in ("UTC", "Asia/Tokyo"):
        world = simulation("2026-03-07T00:00", zone=zone)
        world.add("job", cron="0 9 * * *")
        world.run(days=1)
        made.append((world.store.path, [run.scheduled_for.hour for run in world.history("job")]))
    raise RuntimeError("as a user's test may")


def test_both_are_gone_afterwards():
    assert [hours for _, hours in made] == [[9], [0]]
    assert not any(path.parent.exists() for path, _ in made)
    assert threading.active_count() == 1
"""

# Without these options the environment's own plug-ins could change the order or the output.
OPTIONS = ("-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:trio")


@pytest.mark.thorough
@pytest.mark.slow
def test_what_the_fixture_made_ends_with_its_test_also_where_that_fails(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_mine.py").write_text(TESTS)
    start = f"import sys; sys.path.insert(0, {str(CHECKOUT)!r}); import pytest; pytest.main()"
    command = [sys.executable, "-c", start, *OPTIONS]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180)
    assert "1 failed, 1 passed" in done.stdout, done
