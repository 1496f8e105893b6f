"""The stamp of a run: a resource limit that its processes inherit, whatever they do."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from jarvis_trio.process.stamp import Stamp, stamped

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such limit")

OWNER = "17:4711@boot/1.2"


def seen_by(*words: str) -> Stamp | None:
    """The stamp of a program that is started now."""
    process = subprocess.Popen([*words, "cat"], stdin=subprocess.PIPE, env={"PATH": os.environ["PATH"]})
    try:
        return Stamp.at(process.pid)
    finally:
        process.communicate()


def test_what_is_started_carries_the_stamp_and_this_process_keeps_its_own() -> None:
    before = Stamp.at(os.getpid())
    with stamped(Stamp.of(OWNER, "12")):
        assert seen_by("env", "-i", "setsid", "-w") == Stamp.of(OWNER, "12")
    assert Stamp.at(os.getpid()) == before
    assert seen_by("env") == before


@pytest.mark.parametrize(("mark", "run"), [("12", 12), ("", 0), ("x", 0), (str(2**31 - 1), 2**31 - 1), (str(2**31), 0)])
def test_a_stamp_names_the_run_if_its_mark_is_a_number_that_fits(mark: str, run: int) -> None:
    assert Stamp.of(OWNER, mark).run == run


def test_the_stamp_of_an_owner_covers_its_runs_and_the_stamp_of_a_run_that_one() -> None:
    owner, run, other = Stamp.of(OWNER), Stamp.of(OWNER, "12"), Stamp.of(OWNER, "13")
    assert owner.covers(run)
    assert run.covers(run)
    assert not run.covers(other)
    assert not run.covers(owner)
    assert not Stamp.of("18:1@boot/1.2").covers(run)


def test_a_limit_that_somebody_set_is_no_stamp() -> None:
    code = f"import resource; resource.setrlimit({resource.RLIMIT_RTTIME}, (200_000, -1)); input()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert Stamp.at(process.pid) is None
    finally:
        process.communicate(b"\n")
    assert Stamp.at(process.pid) is None  # it is gone


def test_where_the_limit_may_not_be_so_high_all_is_started_without() -> None:
    code = (
        "import os, resource; from jarvis_trio.process.stamp import Stamp, bind_stamp, stamped\n"
        f"resource.setrlimit({resource.RLIMIT_RTTIME}, (200_000, 200_000))\n"
        f"bind_stamp({OWNER!r})\n"
        f"with stamped(Stamp.of({OWNER!r}, '12')):\n"
        "    print(Stamp.at(os.getpid()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"


def test_a_fork_waits_until_no_run_is_started() -> None:
    """In a process of its own, as the wait is for the whole process."""
    code = f"""
import os, threading
from jarvis_trio.process.stamp import Stamp, bind_stamp, stamped
bind_stamp({OWNER!r})
begun, go_on = threading.Event(), threading.Event()
def start():
    with stamped(Stamp.of({OWNER!r}, "12")):
        begun.set()
        go_on.wait()
starter = threading.Thread(target=start)
starter.start()
begun.wait()
threading.Timer(0.2, go_on.set).start()
if os.fork() == 0:
    with stamped(Stamp.of({OWNER!r}, "13")):  # the child can start runs of its own
        pass
    os._exit(Stamp.at(os.getpid()) != Stamp.of({OWNER!r}))
print(os.wait()[1])
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
