"""Tests of a command as a process: the standard streams that it may have been started without."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli_world import CHECKOUT, Program, eventually
from tests.support.core_fakes import PATIENCE


def without(stream: str, data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a shell does whose user closed one of its streams."""
    words = [sys.executable, "-m", "jarvis_trio", *arguments]
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {stream}', "sh", *words],
        cwd=CHECKOUT,
        env={"JARVIS_DATA_DIR": str(data)},
        capture_output=True,
        text=True,
        timeout=6 * PATIENCE,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stream", "said"),
    [
        pytest.param("<&-", {"list": "webhook_poll"}, marks=pytest.mark.thorough),
        (">&-", {}),
        pytest.param("2>&-", {"list": "webhook_poll"}, marks=pytest.mark.thorough),
    ],
)
def test_a_closed_stream_harms_neither_the_command_nor_the_database(
    stream: str, said: dict[str, str], tmp_path: Path
) -> None:
    for command in ("init", "list", "status"):
        done = without(stream, tmp_path, command)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done
        assert said.get(command, "") in done.stdout
    assert (tmp_path / "memory.db").read_bytes().startswith(b"SQLite format 3")


# What a careless supervisor hands on; argv is the program.
CARELESS = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD])
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.law(1)
def test_signals_that_a_parent_ignored_or_blocked_work_again(program: Program) -> None:
    program("init")
    program("allow", "false")
    program("add", "fails", "--every", "1s", "--", "false")
    words = [sys.executable, "-c", CARELESS, sys.executable, "-m", "jarvis_trio", "run"]
    with subprocess.Popen(words, env=program.environment, cwd=CHECKOUT, stderr=subprocess.PIPE, text=True) as daemon:
        runs = eventually(lambda: json.loads(program("history", "fails", "--json").out))
        daemon.terminate()
        _, log = daemon.communicate(timeout=180)
    assert daemon.returncode == 0, log
    assert {run["status"] for run in runs} <= {"error", "running", "skipped"}  # slots may have passed while it ran
    assert json.loads(program("history", "fails", "--json").out)[-1]["status"] == "error"


# Ctrl-C comes at the moment when the module that the first argument names is imported.
CTRL_C_AT_AN_IMPORT = """
import os, runpy, signal, sys
wanted = sys.argv.pop(1)
class CtrlC:
    def find_spec(self, name, *_):
        if name == wanted:
            os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, CtrlC())
runpy.run_module("jarvis_trio", run_name="__main__", alter_sys=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("jarvis_trio.cli", "list"),
        ("jarvis_trio.foreground", "run"),
        pytest.param("click", "list", marks=pytest.mark.thorough),
        pytest.param("jarvis_trio.process.offspring", "list", marks=pytest.mark.thorough),
        pytest.param("jarvis_trio.desk.looks", "list", marks=pytest.mark.thorough),
        pytest.param("jarvis_trio.store", "status", marks=pytest.mark.thorough),
        pytest.param("jarvis_trio.foreground.session", "run", marks=pytest.mark.thorough),
        ("trio", "run"),
        pytest.param("jarvis_trio.daemon.loop", "run", marks=pytest.mark.thorough),
    ],
)
def test_ctrl_c_during_an_import_ends_any_command_in_one_line(module: str, command: str, program: Program) -> None:
    program("init")
    words = [sys.executable, "-c", CTRL_C_AT_AN_IMPORT, module, command]
    done = subprocess.run(words, env=program.environment, cwd=CHECKOUT, capture_output=True, text=True, timeout=180)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "jarvis-trio: interrupted\n")


# The first Ctrl-C comes at the import of rich, in the command itself; the second as the first is told.
CTRL_C_TWICE = """
import os, runpy, signal, sys
class CtrlC:
    def find_spec(self, name, *_):
        if name == "rich.console":
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
class Stderr:
    def write(self, text):
        os.kill(os.getpid(), signal.SIGINT)
        return sys.__stderr__.write(text)
    def flush(self):
        sys.__stderr__.flush()
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, CtrlC())
sys.stderr = Stderr()
runpy.run_module("jarvis_trio", run_name="__main__", alter_sys=True)
"""


@pytest.mark.slow
def test_a_second_ctrl_c_prints_no_traceback_either(program: Program) -> None:
    program("init")
    words = [sys.executable, "-c", CTRL_C_TWICE, "list"]
    done = subprocess.run(words, env=program.environment, cwd=CHECKOUT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
