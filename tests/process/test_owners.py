"""The locks of the processes that run tasks, in a file that somebody deletes, replaces or spoils."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jarvis_trio.process.owners import OwnerLocks

HOLDS = """
import sys
from pathlib import Path
from jarvis_trio.process.owners import OwnerLocks
locks = OwnerLocks(Path(sys.argv[1]))
locks.hold(sys.argv[2])
print(flush=True)
while sys.stdin.readline():
    locks.keep()
    print(flush=True)
"""


ASKS = """
import sys
from pathlib import Path
from jarvis_trio.process.owners import OwnerLocks
print(OwnerLocks(Path(sys.argv[1])).is_held(sys.argv[2]))
"""


def another_sees(path: Path, owner: str) -> str:
    """What another process finds out about a lock."""
    command = [sys.executable, "-c", ASKS, str(path), owner]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


class Holder:
    """Another process, which holds its lock and looks after it when it is told."""

    def __init__(self, path: Path, owner: str) -> None:
        command = [sys.executable, "-c", HOLDS, str(path), owner]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
        )
        self.wait()

    def wait(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "\n"

    def tick(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.wait()

    def kill(self) -> str:
        self.process.kill()
        return self.process.communicate()[1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "owners.lock"


@pytest.fixture
def holder(path: Path) -> Iterator[Callable[[str], Holder]]:
    started: list[Holder] = []

    def start(owner: str) -> Holder:
        started.append(Holder(path, owner))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


@pytest.mark.law(2)
@pytest.mark.parametrize("spoil", [Path.unlink, replace], ids=["deleted", "replaced"])
def test_law_2_a_process_whose_file_is_gone_is_alive_and_locks_its_byte_in_the_new_one(
    path: Path, holder: Callable[[str], Holder], spoil: Callable[[Path], None]
) -> None:
    locks, daemon = OwnerLocks(path), holder("1:2")
    assert locks.is_held("1:2")
    spoil(path)
    daemon.tick()
    daemon.tick()
    assert locks.is_held("1:2")

    told = daemon.kill()
    assert locks.is_held("1:2") is False
    assert told.count("was deleted or replaced under this process") == 1


@pytest.mark.law(2)
def test_law_2_until_it_looks_again_nobody_knows_whether_it_lives(path: Path, holder: Callable[[str], Holder]) -> None:
    daemon = holder("1:2")
    path.unlink()
    assert OwnerLocks(path).is_held("1:2") is None
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    daemon.kill()
    assert OwnerLocks(path).is_held("1:2") is None


@pytest.mark.law(2)
def test_law_2_what_could_not_be_locked_at_the_start_counts_as_alive_and_is_locked_later(
    path: Path, holder: Callable[[str], Holder]
) -> None:
    path.symlink_to("/no/such/file")
    daemon = holder("1:2")
    path.unlink()
    assert OwnerLocks(path).is_held("1:2") is None
    daemon.tick()
    assert OwnerLocks(path).is_held("1:2")
    assert daemon.kill().count("cannot be locked (Too many levels of symbolic links)") == 1
    assert OwnerLocks(path).is_held("1:2") is False


def test_a_file_of_an_older_program_has_no_notes_and_its_free_bytes_are_of_dead_processes(
    path: Path, holder: Callable[[str], Holder]
) -> None:
    path.touch()
    holder("1:2")
    locks = OwnerLocks(path)
    assert (locks.is_held("1:2"), locks.is_held("3:4")) == (True, False)


def test_to_ask_for_its_own_lock_does_not_give_it_away(path: Path) -> None:
    locks = OwnerLocks(path)
    locks.hold("1:2")
    assert locks.is_held("1:2")
    assert another_sees(path, "1:2") == "True"


@pytest.mark.law(2)
def test_law_2_a_file_that_cannot_be_looked_at_keeps_its_locks(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    locks = OwnerLocks(path)
    locks.hold("1:2")

    def fails(name: str) -> os.stat_result:
        raise OSError(errno.EIO, "Input/output error", name)

    with monkeypatch.context() as patch:
        patch.setattr(os, "lstat", fails)
        locks.keep()
        locks.keep()
        assert locks.is_held("3:4") is None
    locks.keep()
    assert another_sees(path, "1:2") == "True"
    (told,) = [record.getMessage() for record in caplog.records]
    assert "cannot be locked (Input/output error)" in told
