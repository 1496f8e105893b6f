"""One file by two names, as real processes see it: whoever comes second with another name is refused (laws 1, 2)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jarvis_trio.errors import StoreError
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.names import used_by_another_name
from tests.support.core_fakes import a_task

pytestmark = [
    pytest.mark.law(2),
    pytest.mark.skipif(sys.platform != "linux", reason="locks of open files are Linux's"),
]

OPEN = """
import sys
from jarvis_trio.errors import StoreError
from jarvis_trio.store import MemoryStore
try:
    with MemoryStore(sys.argv[1]) as store:
        print(len(store.list_scheduled_tasks()), "tasks")
except StoreError as error:
    print(error)
"""
REFUSED = "is open by another name as well"


def opened_elsewhere(path: Path, *before: str) -> str:
    """What another process says that opens the file by that name."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [*before, sys.executable, "-c", OPEN, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=True)
    return done.stdout.strip()


@pytest.fixture
def open_store(path: Path) -> Iterator[MemoryStore]:
    with MemoryStore(path) as store:
        store.store_scheduled_task(a_task())
        yield store


def test_law_2_a_file_that_was_renamed_while_it_is_open_is_refused_until_it_is_closed(
    open_store: MemoryStore, path: Path, tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere" / "renamed.db"
    other.parent.mkdir()
    path.rename(other)
    assert REFUSED in opened_elsewhere(other)
    with pytest.raises(StoreError, match=REFUSED):
        MemoryStore(other)
    other.rename(path)
    open_store.close()
    path.rename(other)
    assert opened_elsewhere(other) == "1 tasks"


def test_law_2_whoever_comes_second_is_refused_and_the_first_goes_on(
    open_store: MemoryStore, path: Path, tmp_path: Path
) -> None:
    path.rename(tmp_path / "renamed.db")
    for _ in range(2):
        assert REFUSED in opened_elsewhere(tmp_path / "renamed.db")
    (tmp_path / "renamed.db").rename(path)
    assert open_store.look_after()
    assert not used_by_another_name(path)
    open_store.store_scheduled_task(a_task("second"))
    assert opened_elsewhere(path) == "2 tasks"
    open_store.close()


def test_law_2_the_name_is_seen_also_after_the_databases_own_locks_came_and_went(
    open_store: MemoryStore, path: Path, tmp_path: Path
) -> None:
    for number in range(3):
        open_store.store_scheduled_task(a_task(f"more {number}"))
    open_store.read("PRAGMA wal_checkpoint(TRUNCATE)")
    path.rename(tmp_path / "renamed.db")
    assert REFUSED in opened_elsewhere(tmp_path / "renamed.db")
    open_store.close()


def test_all_that_lead_to_one_log_get_on(open_store: MemoryStore, path: Path, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(path)
    (tmp_path / "folder").symlink_to(tmp_path)
    for name in (path, tmp_path / "link.db", tmp_path / "folder" / path.name):
        assert opened_elsewhere(name) == "1 tasks"
    with MemoryStore(path) as second:
        assert second.tasks.count_scheduled_tasks() == 1
    assert not used_by_another_name(path)
    open_store.close()


def test_law_2_a_log_without_its_index_is_refused_until_its_user_has_opened_it_again(
    open_store: MemoryStore, path: Path
) -> None:
    Path(f"{path}-shm").unlink()
    assert "was deleted (its -shm file) while another program has it open" in opened_elsewhere(path)
    assert not Path(f"{path}-shm").exists()
    assert open_store.look_after() is None, "marks of before would say nothing"
    assert open_store.look_after()
    open_store.store_scheduled_task(a_task("second"))
    assert opened_elsewhere(path) == "2 tasks"
    open_store.close()
    assert opened_elsewhere(path) == "2 tasks"


HOLD_OPEN = """
import sys
from jarvis_trio.store import MemoryStore
with MemoryStore(sys.argv[1]) as store:
    print("open", flush=True)
    sys.stdin.readline()
"""


def test_law_4_whoever_cannot_open_a_file_again_at_once_does_so_when_the_other_user_is_gone(
    open_store: MemoryStore, path: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", HOLD_OPEN, str(path)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        Path(f"{path}-shm").unlink()
        for _ in range(2):
            with pytest.raises(StoreError, match="was deleted"):
                open_store.look_after()
        with pytest.raises(StoreError, match="closed database"):
            open_store.others_write()
        other.communicate(b"\n", timeout=180)
    open_store.look_after()
    open_store.store_scheduled_task(a_task("second"))
    assert opened_elsewhere(path) == "2 tasks"


OPEN_OFTEN = """
import sys
from jarvis_trio.store import MemoryStore
print("ready", flush=True)
sys.stdin.readline()
for _ in range(40):
    MemoryStore(sys.argv[1]).close()
print("done")
"""


def test_law_4_those_that_open_a_file_at_one_moment_do_not_take_each_other_for_the_users_of_a_deleted_index(
    path: Path,
) -> None:
    MemoryStore(path).close()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", OPEN_OFTEN, str(path)]
    openers = [
        subprocess.Popen(
            command,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    for opener in openers:
        assert opener.stdout is not None
        assert opener.stdout.readline() == "ready\n"
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("\n")
        opener.stdin.flush()
    assert [opener.communicate(timeout=180) for opener in openers] == [("done\n", "")] * 3


def test_threads_that_open_a_file_at_one_moment_get_on(path: Path) -> None:
    MemoryStore(path).close()

    def open_often(_: int) -> int:
        for _ in range(40):
            MemoryStore(path).close()
        return 40

    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(open_often, range(3))) == [40] * 3


def in_a_mount_namespace(script: str, *arguments: Path) -> list[str]:
    """What begins a command that runs behind mounts of its own; skips where they are not allowed."""
    unshare = ["unshare", "--mount", *([] if os.getuid() == 0 else ["--map-root-user"])]
    script = f'{script}; shift {len(arguments)}; exec "$@"'
    command = [*unshare, "sh", "-ec", script, "sh", *map(str, arguments)]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"], check=False).returncode != 0:
        pytest.skip("nothing can be mounted in a namespace here (unshare)")
    return command


def test_law_2_a_single_file_that_is_mounted_elsewhere_is_refused(
    open_store: MemoryStore, path: Path, tmp_path: Path
) -> None:
    inside = tmp_path / "container" / "memory.db"
    inside.parent.mkdir()
    inside.touch()
    mount = in_a_mount_namespace('mount --bind "$1" "$2"', path, inside)
    assert "is mounted here as a single file" in opened_elsewhere(inside, *mount)
    open_store.close()


def test_law_2_a_second_name_is_seen_also_by_one_that_does_not_see_the_mount(
    open_store: MemoryStore, path: Path, tmp_path: Path
) -> None:
    """The kernel's list of mounts can be hidden from a container; the locks of the file cannot."""
    inside = tmp_path / "container" / "memory.db"
    inside.parent.mkdir()
    inside.touch()
    mount = in_a_mount_namespace('mount --bind "$1" "$2"; mount --bind /dev/null /proc/$$/mountinfo', path, inside)
    assert REFUSED in opened_elsewhere(inside, *mount)
    open_store.close()


def test_without_proc_nobody_is_refused(open_store: MemoryStore, path: Path) -> None:
    assert opened_elsewhere(path, *in_a_mount_namespace("mount -t tmpfs none /proc")) == "1 tasks"
    open_store.close()


def test_a_folder_that_is_mounted_elsewhere_leads_to_the_same_log(
    open_store: MemoryStore, path: Path, tmp_path: Path
) -> None:
    inside = tmp_path / "container"
    inside.mkdir()
    mount = in_a_mount_namespace('mount --bind "$1" "$2"', path.parent, inside)
    assert opened_elsewhere(inside / path.name, *mount) == "1 tasks"
    open_store.close()
