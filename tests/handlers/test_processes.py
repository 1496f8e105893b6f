"""Running a program to its end, with real processes that try to get away."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from jarvis_trio.errors import HandlerError
from jarvis_trio.handlers.patience import PATIENCE as USUAL
from jarvis_trio.handlers.patience import Patience
from jarvis_trio.handlers.processes import Completed, end_orphans, mark_of, processes_of, run_command
from jarvis_trio.process.identity import current_owner
from jarvis_trio.process.offspring import MARKER
from jarvis_trio.process.stamp import Stamp, stamped
from tests.support.core_fakes import PATIENCE, finish, in_thread, wait_until
from tests.support.processes import lives

HASTE = Patience(term=timedelta(seconds=2), kill=timedelta(seconds=30))

# Forks, leaves its parent's session and ends, over and over, for a minute; each of them adds a byte to a file.
HOPPING = """
import os, sys, time
start = time.monotonic()
while time.monotonic() < start + 60:
    if os.fork():
        os._exit(0)
    os.setsid()
    open(sys.argv[1], "a").write(".")
    time.sleep(float(sys.argv[2]))
"""


def run(
    *arguments: str,
    seconds: float = 30,
    patience: Patience = USUAL,
    mark: str = "",
    output: list[bytes] | None = None,
    environment: dict[str, str] | None = None,
    folder: str = "/",
    cancelled: threading.Event | None = None,
) -> Completed:
    return run_command(
        arguments,
        environment={"PATH": os.environ["PATH"]} | (environment or {}),
        folder=folder,
        timeout=timedelta(seconds=seconds),
        cancelled=cancelled or threading.Event(),
        mark=mark,
        output=(output if output is not None else []).append,
        patience=patience,
    )


def shell(script: str, *arguments: str, **options: object) -> Completed:
    return run("/bin/sh", "-c", script, "-", *arguments, **options)  # type: ignore[arg-type]  # handed on


def written_pid(file: Path) -> int:
    while not (file.exists() and file.read_text()):
        time.sleep(0.01)
    return int(file.read_text())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no pipes that hold one write")
def test_the_output_has_both_streams_as_they_were_written() -> None:
    output: list[bytes] = []
    done = shell("echo one; echo two >&2; echo three; echo four >&2", output=output)
    assert b"".join(output) == b"one\ntwo\nthree\nfour\n"
    assert (done.stdout, done.stderr) == ("one\nthree\n", "two\nfour\n")


@pytest.mark.parametrize("letter", ["я", "\0", "日"])
def test_an_excerpt_is_cut_by_its_length_as_json(letter: str) -> None:
    code = f"import sys; print({letter!r} * 5500); print({letter!r} * 5500, file=sys.stderr)"
    done = run(sys.executable, "-c", code, environment={"PYTHONIOENCODING": "utf-8"})
    assert len(json.dumps([done.stdout, done.stderr])) < 60_000
    assert done.stdout.startswith(letter * 100)
    assert done.stdout.endswith(letter * 100 + "\n")


@pytest.mark.law(4)
@pytest.mark.slow  # four seconds each: processes that hop for as long as they are let
@pytest.mark.parametrize(
    "pause", ["0.002", *(pytest.param(pause, marks=pytest.mark.thorough) for pause in ("0.05", "0"))]
)
def test_law_4_what_forks_and_changes_its_session_over_and_over_is_ended(tmp_path: Path, pause: str) -> None:
    file, cancelled = tmp_path / "hops", threading.Event()
    file.touch()
    script = f'"{sys.executable}" -c "$1" "$2" {pause}; sleep 60'

    def cancel() -> None:
        wait_until(lambda: file.stat().st_size > 20)
        cancelled.set()

    canceller = in_thread(cancel)
    done = shell(script, HOPPING, str(file), seconds=PATIENCE, patience=HASTE, cancelled=cancelled)
    finish(canceller)
    assert not done.in_time
    assert done.survivors == ()
    hops = file.stat().st_size
    time.sleep(0.2)  # whoever is left would go on
    assert file.stat().st_size == hops > 0


def kernel_thread() -> int:
    """The PID of one, whose environment nobody can read; else the test is skipped."""
    with contextlib.suppress(psutil.Error):
        if psutil.Process(2).name() == "kthreadd":
            return 2
    pytest.skip("the kernel's threads are not shown here")


def test_what_has_no_environment_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    thread = kernel_thread()
    looks: list[int] = []

    def pids() -> list[int]:
        looks.append(thread)
        return [thread]

    monkeypatch.setattr(psutil, "pids", pids)
    assert end_orphans("nobody/1/2").ended == 0
    assert len(looks) in (2, 3)  # two that find nothing; to root, whose thread it is, one is doubtful before


@pytest.mark.usefixtures("children_are_reaped_by_nobody")
def test_an_end_that_nobody_knows_is_not_taken_for_success() -> None:
    assert shell("exit 3").exit_code is None


def test_an_end_that_somebody_else_took_is_not_taken_for_success() -> None:
    stop = threading.Event()

    def reap_all() -> None:
        while not stop.is_set():
            try:
                os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                time.sleep(0.001)

    reaper = threading.Thread(target=reap_all)
    reaper.start()
    try:
        done = shell("exit 3")
    finally:
        stop.set()
        reaper.join()
    assert done.exit_code in (None, 3)  # whoever asks the kernel first
    assert done.in_time


def test_what_outlives_its_hunt_is_named_with_its_mark() -> None:
    owner = f"18:{os.getpid()}@boot"  # of this worker alone: a hunt goes through all processes of the machine
    process = subprocess.Popen(["sleep", "60"], env={**os.environ, MARKER: f"{owner}/12/x"})
    try:
        found = end_orphans(owner, Patience(term=timedelta(0), kill=timedelta(0)))
        assert [(survivor.pid, mark_of(survivor, owner)) for survivor in found.survivors] == [(process.pid, "12")]
        assert mark_of(found.survivors[0], "18:9@boot") is None
    finally:
        process.kill()
        process.wait()


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(HandlerError, match=f"the folder {tmp_path}/gone is not there; make it"):
        run("/bin/sh", "-c", "true", folder=f"{tmp_path}/gone")


def test_a_folder_that_is_missing_is_named_for_a_script_too(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    with pytest.raises(HandlerError, match=f"the folder {tmp_path}/gone is not there; make it"):
        run(str(script), folder=f"{tmp_path}/gone")


def test_the_processes_of_a_run_are_found_by_its_mark() -> None:
    mark, found = f"test-{os.urandom(4).hex()}", threading.Event()
    pids: list[int] = []

    def look() -> None:
        while len(pids) < 2 and not found.is_set():
            pids[:] = processes_of(current_owner(), mark)
        found.set()

    looker = threading.Thread(target=look)
    looker.start()
    shell("sleep 1 & wait", mark=mark)
    found.set()
    looker.join()
    assert len(pids) == 2
    assert processes_of(current_owner(), mark) == []


HIDING = """
file=$1; shift
setsid env -i /bin/sh -c 'sleep 60 > /dev/null 2>&1 & echo $! > "$0"' "$file" &
wait
exec "$@"
"""
"""Leaves a process with a dead parent, a session of its own and no environment; then starts its arguments."""

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no stamp of a run")


@linux
@pytest.mark.law(2)
def test_law_2_what_hides_before_anybody_looks_is_ended_with_its_run(tmp_path: Path) -> None:
    done = shell(HIDING, str(tmp_path / "left"), "true", mark="31")
    assert (done.exit_code, done.ended, done.survivors) == (0, 1, ())
    assert not lives(written_pid(tmp_path / "left"))


@linux
@pytest.mark.law(4)
def test_law_4_what_another_run_hides_is_left_alone(tmp_path: Path) -> None:
    cancelled = threading.Event()
    other = in_thread(lambda: shell(HIDING, str(tmp_path / "left"), "sleep", "60", mark="32", cancelled=cancelled))
    left = written_pid(tmp_path / "left")
    assert shell("true", mark="33").ended == 0
    assert lives(left)
    assert left in processes_of(current_owner(), "32")

    cancelled.set()
    finish(other)
    assert not lives(left)


@linux
@pytest.mark.law(2)
def test_law_2_what_a_killed_process_hid_is_ended_by_its_stamp(tmp_path: Path) -> None:
    owner = f"{os.urandom(4).hex()}:1@boot"
    with stamped(Stamp.of(owner, "12")):
        parent = subprocess.Popen(["/bin/sh", "-c", HIDING, "-", str(tmp_path / "left"), "true"], env={})
    left = written_pid(tmp_path / "left")
    parent.wait()
    assert mark_of(psutil.Process(left), owner) == "12"
    assert mark_of(psutil.Process(left), "18:9@boot") is None
    assert end_orphans(owner).ended == 1
    assert not lives(left)


@pytest.mark.law(2)
def test_law_2_what_a_dead_process_left_is_ended_also_if_it_cleared_its_environment(tmp_path: Path) -> None:
    owner = f"{os.urandom(4).hex()}:1@boot"
    # In a session of its own, as a command is. Its child clears its environment, and so does
    # the child's own child, whose parent is dead.
    clean = f'env -i /bin/sh -c "sleep 60 & echo \\$! > {tmp_path}/orphan; exit"; env -i sleep 60 & echo $! > $1; wait'
    parent = subprocess.Popen(
        ["/bin/sh", "-c", clean, "-", str(tmp_path / "child")],
        env={**os.environ, MARKER: f"{owner}/1/x"},
        start_new_session=True,
    )
    pids = [written_pid(tmp_path / name) for name in ("child", "orphan")]
    try:
        assert end_orphans(owner).ended == 3
        assert [pid for pid in pids if lives(pid)] == []
    finally:
        parent.kill()
        parent.wait()


BLIND = """
import json, sys, threading
from datetime import timedelta
from jarvis_trio.handlers.patience import Patience
from jarvis_trio.handlers.processes import end_orphans, processes_of, run_command
from jarvis_trio.process.identity import Processes, current_owner

def run(text, seconds):
    done = run_command(
        ["/bin/sh", "-c", text], environment={"PATH": sys.argv[1]}, folder="/", timeout=timedelta(seconds=seconds),
        cancelled=threading.Event(), mark="7", patience=Patience(term=timedelta(seconds=0.5)),
    )
    return done.exit_code, done.in_time, done.ended

sleep = sys.argv[2]
print(json.dumps([
    run("exit 3", 60), run(f"{sleep} & exit 0", 60), run(f"trap '' TERM; {sleep}; {sleep}", 1),
    processes_of(current_owner(), "7"), end_orphans(current_owner()).ended, Processes().is_alive(current_owner()),
]))
"""


@pytest.mark.law(4)
@pytest.mark.skipif(sys.platform != "linux", reason="it is /proc that is missing")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take /proc away")
@pytest.mark.parametrize("away", ["--mount sh -c 'mount -t tmpfs none /proc && exec \"$@\"' -", "--pid --fork"])
def test_law_4_without_a_list_of_processes_a_commands_group_is_ended(away: str) -> None:
    """In a chroot without /proc, and in a PID namespace that has that of another one."""
    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": os.environ["PATH"]}
    script = f'unshare {away} "$@"'
    began = subprocess.run(["/bin/sh", "-c", script, "-", "true"], env=environment, capture_output=True, check=False)
    if began.returncode != 0:
        pytest.skip(f"no namespace can be made here: {began.stderr!r}")

    sleep = f"sleep 9{os.getpid()}{os.urandom(2)[0]}"  # nobody else's
    words = ["/bin/sh", "-c", script, "-", sys.executable, "-c", BLIND, os.environ["PATH"], sleep]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=120)
    # The last command resists SIGTERM until it is killed.
    assert json.loads(done.stdout) == [[3, True, 0], [0, True, 0], [-9, False, 1], [], 0, True]
    left = subprocess.run(["pgrep", "-f", "-x", sleep], capture_output=True, text=True, check=False)
    assert [pid for pid in left.stdout.split() if lives(int(pid))] == []
