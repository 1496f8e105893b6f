"""Tests of the watch on files, with real files: this system's own, and on Linux the one of a Mac too."""

from __future__ import annotations

import os
import resource
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jarvis_trio.process.watch import Watch, database_files, make_watch, why_no_watch
from tests.support import fake_kqueue
from tests.support.core_fakes import PATIENCE

LINUX = sys.platform == "linux"


@pytest.fixture(params=["own", *(["kqueue"] if LINUX else [])])
def watch(request: pytest.FixtureRequest) -> Iterator[Watch]:
    watch = make_watch() if request.param == "own" else make_watch("darwin", fake_kqueue)
    yield watch
    watch.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "memory.db"
    file.write_text("first")
    return file


def happened(watch: Watch, seconds: float = PATIENCE) -> bool:
    """Whether the descriptor becomes readable in time."""
    return bool(select.select([watch], [], [], seconds)[0]) and watch.drain()


def append(file: Path) -> None:
    with file.open("a") as stream:
        stream.write("more")


@pytest.mark.parametrize("change", [append, Path.unlink, lambda file: file.rename(file.with_suffix(".old"))])
def test_a_file_that_is_written_or_goes_away_is_told(
    change: Callable[[Path], object], watch: Watch, file: Path
) -> None:
    watch.renew([file])
    assert not happened(watch, 0)
    change(file)
    assert happened(watch)
    assert not happened(watch, 0)


def test_reading_is_not_told(watch: Watch, file: Path) -> None:
    watch.renew([file])
    file.read_text()
    assert not happened(watch, 0.05)


@pytest.mark.skipif(not LINUX, reason="inotify alone tells of owners")
def test_an_owner_that_is_set_is_not_told(file: Path) -> None:
    """SQLite sets that of a database's log when root opens it, if only to read it."""
    watch = make_watch()
    watch.renew([file])
    os.chown(file, os.getuid(), os.getgid())
    assert not happened(watch)
    append(file)
    assert happened(watch)
    watch.close()


def test_a_name_that_goes_away_while_its_owner_is_set_is_told(watch: Watch, file: Path) -> None:
    watch.renew([file])
    with file.open() as held:
        os.fchown(held.fileno(), os.getuid(), os.getgid())
        file.unlink()
        assert happened(watch)


def test_another_file_under_the_name_is_watched_after_renewal(watch: Watch, file: Path, tmp_path: Path) -> None:
    watch.renew([file])
    other = tmp_path / "other"
    other.write_text("second")
    other.replace(file)
    assert happened(watch)
    watch.renew([file, tmp_path / "missing"])
    append(file)
    assert happened(watch)


def test_renewing_without_a_change_tells_nothing(watch: Watch, file: Path) -> None:
    for _ in range(3):
        watch.renew([file])
    assert not happened(watch, 0.05)


def test_a_file_that_is_not_named_again_is_watched_no_longer(watch: Watch, file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("first")
    watch.renew([file, other])
    watch.renew([other])
    watch.drain()  # that a watch has ended is an event too
    append(file)
    assert not happened(watch, 0.05)
    append(other)
    assert happened(watch)


def test_the_files_of_a_database_are_itself_and_its_log_wherever_links_lead(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "memory.db")
    real = tmp_path.resolve() / "memory.db"
    for path in (real, tmp_path / "link.db"):
        files = [path, Path(f"{real}-wal"), Path(f"{real}-shm")]
        assert list(database_files(path)) == (files if sys.platform == "linux" else files[:2])


def test_a_closed_watch_has_no_descriptor_here(file: Path) -> None:
    watch = make_watch()
    watch.renew([file])
    number = watch.fileno()
    watch.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_here_a_watch_can_be_had() -> None:
    assert why_no_watch() is None


@pytest.mark.skipif(not LINUX, reason="it is inotify that has a limit of its own")
def test_a_watch_that_the_system_refuses_says_why() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        why = why_no_watch()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert why == "inotify: Too many open files; see fs.inotify.max_user_instances"


NO_MORE_WATCHES = "echo 0 > /proc/sys/user/max_inotify_watches && exec "
WHY = "from jarvis_trio.process.watch import why_no_watch; print(why_no_watch())"


@pytest.mark.slow
@pytest.mark.skipif(not LINUX, reason="it is inotify that has a limit of its own")
def test_a_file_that_the_system_lets_nobody_watch_is_told() -> None:
    """All of a user's programs share that limit, so an editor or a synchroniser can use it up."""
    behind = ["unshare", "--user", "--map-root-user", "sh", "-c"]
    if not shutil.which("unshare"):
        pytest.skip("unshare is not installed")
    if subprocess.run([*behind, f"{NO_MORE_WATCHES} true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may make no namespace with a limit of its own")
    command = [*behind, f'{NO_MORE_WATCHES} "$@"', "sh", sys.executable, "-c", WHY]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout == "inotify: No space left on device; see fs.inotify.max_user_watches\n"


def test_kqueue_without_a_descriptor_is_told_and_a_name_that_leads_nowhere_is_not(file: Path) -> None:
    watch = make_watch("darwin", fake_kqueue)
    watch.renew([file.with_name("nowhere"), file / "nowhere"])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            watch.renew([file])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        watch.close()


def test_a_system_that_tells_of_no_file_says_so() -> None:
    with pytest.raises(OSError, match="neither inotify nor kqueue"):
        make_watch("plan9", None)
