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

from jarvis_trio.process.identity import Processes, current_owner, owner_pid
from jarvis_trio.process.owners import OwnerLocks
from tests.support.core_fakes import wait_until

LINUX = Path("/proc/self/stat").exists()
HERE = Processes()


@pytest.fixture(params=[True, False] if LINUX else [False], ids=lambda linux: "Linux" if linux else "elsewhere")
def processes(request: pytest.FixtureRequest) -> Processes:
    """Both ways to tell a process from the next one with its PID."""
    return Processes(linux=request.param)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def test_this_process_lives(processes: Processes) -> None:
    assert processes.is_alive(processes.owner())
    assert processes.owner() == processes.owner()


def test_another_process_lives_until_it_ends(processes: Processes, child: subprocess.Popen[bytes]) -> None:
    other = processes.owner(child.pid)
    assert processes.is_alive(other)
    child.communicate(b"\n")
    assert not processes.is_alive(other)


def test_a_zombie_is_dead(processes: Processes, child: subprocess.Popen[bytes]) -> None:
    other = processes.owner(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has fetched it
    assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
    assert not processes.is_alive(other)


@pytest.mark.law(2)
def test_a_pid_that_is_used_again_is_somebody_else(processes: Processes) -> None:
    assert not processes.is_alive(f"{os.getpid()}:another-start")
    assert not processes.is_alive(f"{os.getpid()}:")


@pytest.mark.law(2)
@pytest.mark.skipif(not LINUX, reason="the boot's id is Linux's")
def test_the_same_pid_and_start_on_another_boot_is_somebody_else() -> None:
    here, _, place = current_owner().partition("@")
    assert place.partition("/")[0] == Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    assert not HERE.is_alive(f"{here}@another-boot")


@pytest.mark.law(2)
def test_a_process_that_grows_is_the_same(processes: Processes) -> None:
    before = processes.owner()
    with mmap.mmap(-1, 64 * 2**20):
        assert processes.is_alive(before)


@pytest.mark.skipif(not LINUX, reason="only Linux lets a process name itself so")
@pytest.mark.parametrize("name", [b") R 1 (x", b"\xff"], ids=["brackets", "bytes"])
def test_a_strange_name_does_not_confuse_it(name: bytes, tmp_path: Path) -> None:
    program = os.fsencode(tmp_path) + b"/" + name
    os.symlink("/bin/sleep", program)
    with subprocess.Popen([program, "60"]) as process:
        other = HERE.owner(process.pid)
        assert HERE.is_alive(other)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not HERE.is_alive(other)


@pytest.mark.parametrize("owner", [None, "", ":", "abc", "x:1", "1", "-1:1", "999999999999:1", "²:1"])
def test_an_owner_that_names_nobody_is_dead(processes: Processes, owner: str | None) -> None:
    assert not processes.is_alive(owner)


def test_the_pid_in_messages() -> None:
    assert owner_pid("4711:123@boot") == "4711"
    assert owner_pid(None) == "unknown"
    assert owner_pid("") == "unknown"


@pytest.mark.skipif(not LINUX, reason="without /proc there is psutil elsewhere")
def test_without_proc_a_process_that_is_there_counts_as_alive(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    blind = Processes(proc=tmp_path)
    assert blind.is_alive(blind.owner())
    assert blind.is_alive(HERE.owner(child.pid))
    other = blind.owner(child.pid)
    child.communicate(b"\n")
    assert not blind.is_alive(other)


def test_a_text_of_the_first_release_is_read() -> None:
    first, _, _ = current_owner().partition("/")
    assert HERE.is_alive(first)
    assert not HERE.is_alive(f"{os.getpid()}:1@{first.partition('@')[2]}")


OUT_OF_DESCRIPTORS = """
import os, sys
from jarvis_trio.process.identity import Processes
here = Processes()
taken = []
try:
    while True:
        taken.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
sys.exit(0 if here.is_alive(sys.argv[1]) else 1)
"""


@pytest.mark.law(2)
@pytest.mark.skipif(not LINUX, reason="it is /proc that is read")
def test_law_2_a_process_that_cannot_be_read_counts_as_alive(child: subprocess.Popen[bytes]) -> None:
    """EMFILE while /proc/PID/stat is opened."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = ["sh", "-c", 'ulimit -n 64; exec "$0" "$@"', sys.executable, "-c", OUT_OF_DESCRIPTORS]
    assert subprocess.run([*command, HERE.owner(child.pid)], env=environment, check=False).returncode == 0


LOCKING = """
import sys
from pathlib import Path
from jarvis_trio.process.identity import Processes
from jarvis_trio.process.owners import OwnerLocks
from tests.support.core_fakes import wait_until
locks = OwnerLocks(Path(sys.argv[1]))
owner = Processes(locks).owner()
locks.hold(owner)
print(owner, flush=True)
if len(sys.argv) > 2:
    print(Processes(locks).is_alive(sys.argv[2]), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def locking(tmp_path: Path) -> Iterator[Callable[..., tuple[str, subprocess.Popen[str]]]]:
    """Starts a process that holds its lock; by a prefix of its command in other namespaces."""
    started: list[subprocess.Popen[str]] = []
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    def start(*words: str, prefix: tuple[str, ...] = ()) -> tuple[str, subprocess.Popen[str]]:
        command = [*prefix, sys.executable, "-c", LOCKING, str(tmp_path / "owners.lock"), *words]
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return process.stdout.readline().strip(), process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_lock_is_held_until_its_process_ends(
    tmp_path: Path, locking: Callable[..., tuple[str, subprocess.Popen[str]]]
) -> None:
    locks = OwnerLocks(tmp_path / "owners.lock")
    owner, process = locking()
    another, _ = locking()
    assert locks.is_held(owner)
    process.kill()
    process.wait()
    assert locks.is_held(owner) is False
    assert locks.is_held(another)


def test_a_lock_file_that_cannot_be_used_says_nothing(tmp_path: Path) -> None:
    locks = OwnerLocks(tmp_path / "nowhere" / "owners.lock")
    locks.hold("1:2")
    assert locks.is_held("3:4") is None


def _namespaces() -> tuple[str, ...]:
    command = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    try:
        allowed = subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        allowed = False
    return command if allowed else ()


@pytest.mark.law(2)
def test_law_2_a_process_in_another_pid_namespace_is_alive_until_it_ends(
    tmp_path: Path, locking: Callable[..., tuple[str, subprocess.Popen[str]]]
) -> None:
    """As two containers that share the data folder; both see a process with PID 1 and an old start."""
    unshare = _namespaces()
    if not unshare:
        pytest.skip("unshare is not here, or not allowed")
    here = Processes(OwnerLocks(tmp_path / "owners.lock"))
    inside, process = locking(prefix=unshare)
    assert here.is_alive(inside)

    assert process.stdout is not None
    _, other = locking(inside, prefix=unshare)
    assert other.stdout is not None
    assert other.stdout.readline().strip() == "True"

    process.kill()
    process.wait()
    wait_until(lambda: not here.is_alive(inside))
