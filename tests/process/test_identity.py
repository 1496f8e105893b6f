"""Unit tests with real processes: who runs a task, and whether it still lives."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from jarvis_trio.process import identity as module
from jarvis_trio.process.identity import current_owner, owner_alive, owner_pid

LINUX = Path("/proc/self/stat").exists()


@pytest.fixture(params=["here", "elsewhere"])
def start(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], str | None]:
    """Both ways to tell a process from the next one with its PID."""
    if request.param == "elsewhere":
        monkeypatch.setattr(module, "_start", module._start_elsewhere)
    return module._start


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def owner_of(pid: int) -> str:
    return f"{pid}:{module._start(pid)}"


def test_this_process_lives(start: object) -> None:
    assert owner_alive(current_owner())
    assert current_owner() == current_owner()


def test_another_process_lives_until_it_ends(start: object, child: subprocess.Popen[bytes]) -> None:
    other = owner_of(child.pid)
    assert owner_alive(other)
    child.communicate(b"\n")
    assert not owner_alive(other)


def test_a_zombie_is_dead(start: object, child: subprocess.Popen[bytes]) -> None:
    other = owner_of(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has fetched it
    assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
    assert not owner_alive(other)


@pytest.mark.law(2)
def test_a_pid_that_is_used_again_is_somebody_else(start: object) -> None:
    assert not owner_alive(f"{os.getpid()}:another-start")
    assert not owner_alive(f"{os.getpid()}:")


@pytest.mark.law(2)
@pytest.mark.skipif(not LINUX, reason="the boot's id is Linux's")
def test_the_same_pid_and_start_on_another_boot_is_somebody_else() -> None:
    here, _, boot = current_owner().partition("@")
    assert boot == Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    assert not owner_alive(f"{here}@another-boot")


@pytest.mark.law(2)
def test_a_process_that_grows_is_the_same(start: object) -> None:
    before = current_owner()
    with mmap.mmap(-1, 64 * 2**20):
        assert owner_alive(before)


@pytest.mark.skipif(not LINUX, reason="only Linux lets a process name itself so")
@pytest.mark.parametrize("name", [b") R 1 (x", b"\xff"], ids=["brackets", "bytes"])
def test_a_strange_name_does_not_confuse_it(name: bytes, tmp_path: Path) -> None:
    program = os.fsencode(tmp_path) + b"/" + name
    os.symlink("/bin/sleep", program)
    with subprocess.Popen([program, "60"]) as process:
        other = owner_of(process.pid)
        assert owner_alive(other)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not owner_alive(other)


@pytest.mark.parametrize("owner", [None, "", ":", "abc", "x:1", "1", "-1:1", "999999999999:1", "²:1"])
def test_an_owner_that_names_nobody_is_dead(start: object, owner: str | None) -> None:
    assert not owner_alive(owner)


def test_the_pid_in_messages() -> None:
    assert owner_pid("4711:123@boot") == "4711"
    assert owner_pid(None) == "unknown"
    assert owner_pid("") == "unknown"


@pytest.mark.skipif(not LINUX, reason="elsewhere every test is of this")
def test_without_proc_a_process_is_known_by_what_psutil_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, child: subprocess.Popen[bytes]
) -> None:
    monkeypatch.setattr(module, "_PROC", tmp_path)
    other = owner_of(child.pid)
    assert "@" not in other
    assert owner_alive(other)
    child.communicate(b"\n")
    assert not owner_alive(other)
