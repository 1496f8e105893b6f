"""The folders of runs: they go with their run, or are swept when nobody is at work in them."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from jarvis_trio.handlers.application.folders import LOCK, PREFIX, run_folder, sweep_folders
from jarvis_trio.handlers.application.handlers import BOOTSTRAP

pytestmark = pytest.mark.slow

KILLED = """
import os, subprocess, sys
from jarvis_trio.handlers.application.folders import run_folder
with run_folder() as folder:
    (folder / "request.json").write_text({request!r})
    print(folder, flush=True)
    if {words!r}:
        child = subprocess.Popen([*{words!r}, folder / "request.json"], stdin=sys.stdin, stderr=subprocess.PIPE)
        child.stderr.readline()
    os.kill(os.getpid(), 9)
"""

WORKS = "import sys\ndef work(*_):\n    print('at work', file=sys.stderr, flush=True)\n    sys.stdin.read()\n"


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def killed(request: str = "", words: tuple[str, ...] = ()) -> tuple[Path, subprocess.Popen[str]]:
    """The folder of a process that was killed, and its pipes, which the process of its run holds open."""
    pipe = subprocess.PIPE
    program = KILLED.format(request=request, words=words)
    process = subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True)
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    assert process.wait(60) == -9
    return folder, process


def answered(folder: Path, application: Path, ask: str, handlers: str) -> dict[str, Any]:
    """What the process of a run answers in that folder; it ends well and says nothing."""
    question, answer = folder / "request.json", folder / "answer.json"
    asked = {"ask": ask, "folder": str(application), "handlers": handlers, "parts": {}, "store": ""}
    question.write_text(json.dumps({**asked, "type": "any", "config": "", "answer": str(answer)}))
    done = subprocess.run([sys.executable, str(BOOTSTRAP), str(question)], stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(answer.read_text())
    return found


def test_a_folder_goes_with_its_run() -> None:
    with run_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


def test_what_a_killed_process_left_is_swept_and_what_is_in_use_stays() -> None:
    left, process = killed()
    assert left.exists()
    with process, run_folder() as mine:
        sweep_folders()
        assert (left.exists(), mine.exists()) == (False, True)


def test_a_run_that_outlives_its_daemon_keeps_its_folder_until_it_ends(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(WORKS)
    asked = {"ask": "run", "folder": str(tmp_path), "handlers": "app:work", "parts": {}, "store": ""}
    request = json.dumps({**asked, "type": "any", "config": "", "answer": str(tmp_path / "answer.json")})
    folder, process = killed(request, (sys.executable, str(BOOTSTRAP)))
    sweep_folders()
    assert folder.exists()

    process.communicate(timeout=60)  # the run ends, and with it the last that holds the pipe
    sweep_folders()
    assert not folder.exists()
    assert json.loads((tmp_path / "answer.json").read_text()) == {"answer": None}


def test_a_disk_without_locks_keeps_no_run_from_its_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with run_folder() as folder:
        sweep_folders()
        assert folder.exists()
        assert answered(folder, tmp_path, "look", "json:dumps")["problems"] == []


def test_a_handler_that_closes_all_descriptors_is_answered_for_without_a_complaint(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import os\ndef close(*_):\n    os.closerange(3, 64)\n")
    with run_folder() as folder:
        assert answered(folder, tmp_path, "run", "app:close") == {"answer": None}


def test_each_lock_is_one_that_nfs_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses a shared lock on what cannot be read, and an exclusive one on what cannot be written."""
    flock = fcntl.flock

    def flock_of_nfs(file: int | BinaryIO, kind: int) -> None:
        mode = fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE
        if mode == (os.O_WRONLY if kind & fcntl.LOCK_SH else os.O_RDONLY):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(file, kind)

    left, process = killed()
    monkeypatch.setattr(fcntl, "flock", flock_of_nfs)
    with process, run_folder() as mine:
        sweep_folders()
        assert (left.exists(), (mine / LOCK).exists()) == (False, True)


def test_what_is_not_surely_such_a_folder_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_another_version, file, link = (tmp_path / f"{PREFIX}{name}" for name in ("old", "file", "link"))
    of_another_version.mkdir()
    file.touch()
    other = tmp_path / "other"
    other.mkdir()
    (other / LOCK).touch()
    link.symlink_to(other)
    sweep_folders()
    assert (of_another_version.exists(), file.exists(), other.exists()) == (True, True, True)

    left, process = killed()
    with process, monkeypatch.context() as patched:
        patched.setattr(os, "geteuid", lambda: os.getuid() + 1)
        sweep_folders()
        assert left.exists()
