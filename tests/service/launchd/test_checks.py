"""What is checked before anything is changed: collaboration tests, with a real interpreter."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from jarvis_trio.errors import LaunchdError, ServiceError
from jarvis_trio.service.launchd.checks import check, check_privacy, privacy_folder
from jarvis_trio.service.launchd.plist import render
from jarvis_trio.service.launchd.selftest import selftest_agent
from tests.support.launchd_world import GUI, PROJECT, UID, World, make_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "home")


def test_the_checks_pass_where_all_is_well(world: World) -> None:
    before = world.snapshot()
    check(world.agent, world.launchctl)
    assert world.snapshot() == before


def _no_database(world: World) -> None:
    Path(world.agent.settings["MEMORY_DB_PATH"]).unlink()


def _no_trio(world: World) -> None:
    bare = world.home / "bare/bin/python"
    bare.parent.mkdir(parents=True)
    bare.write_text("#!/bin/sh\nprintf 'Traceback\\nModuleNotFoundError: no trio\\n' >&2\nexit 1\n")
    bare.chmod(0o755)
    world.agent = replace(world.agent, python=bare)


def _no_psutil(world: World) -> None:
    """A venv's interpreter that finds all but what macOS alone needs at the start."""
    site = world.home / "site/psutil.py"
    site.parent.mkdir()
    site.write_text("raise ModuleNotFoundError('no psutil')")
    partial = world.home / "bin/python"
    partial.parent.mkdir()
    partial.write_text(f'#!/bin/sh\nPYTHONPATH="{site.parent}" exec "{sys.executable}" -B "$@"\n')
    partial.chmod(0o755)
    world.agent = replace(world.agent, python=partial)


def _no_interpreter(world: World) -> None:
    world.agent = replace(world.agent, python=world.home / "gone/bin/python")


def _no_folder(world: World) -> None:
    world.agent = replace(world.agent, working_directory=world.home / "gone")


def _project_in_documents(world: World) -> None:
    world.agent = replace(world.agent, working_directory=world.home / "Documents/jarvis")


def _data_in_icloud_by_a_link(world: World) -> None:
    cloud = world.home / "Library/Mobile Documents/com~apple~CloudDocs"
    cloud.mkdir(parents=True)
    (world.home / "cloud").symlink_to(cloud)
    inbox = str(world.home / "cloud/inbox")
    world.agent = replace(world.agent, settings={**world.agent.settings, "WEBHOOK_INBOX_DIR": inbox})


def _application_on_another_disk(world: World) -> None:
    world.agent = replace(world.agent, arguments=("run", "--app-dir", "/Volumes/Disk/app"))


def _file_in_the_way_of_the_logs(world: World) -> None:
    (world.home / "Library/Logs").write_text("")


def _folder_in_the_place_of_a_log(world: World) -> None:
    world.agent.standard_output.mkdir(parents=True)


def _log_where_launchd_writes(world: World) -> None:
    log = str(world.agent.standard_error)
    world.agent = replace(world.agent, settings={**world.agent.settings, "DAEMON_LOG_FILE": log})


def _loaded_from_elsewhere(world: World) -> None:
    world.load(GUI, _written(world, world.home / "checkout/ours.plist"))


def _loaded_and_its_plist_deleted(world: World) -> None:
    world.load(GUI, _written(world, world.agent.plist))
    world.agent.plist.unlink()


def _written(world: World, path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(render(world.agent))
    path.chmod(0o644)
    return path


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_no_database, r"Memory DB not found at .*memory\.db; make it with: jarvis-trio init"),
        (_no_trio, r"cannot import jarvis_trio in the environment of a service \(ModuleNotFoundError: no trio\)"),
        (_no_psutil, r"cannot import jarvis_trio in the environment of a service \(ModuleNotFoundError: no psutil\)"),
        (_no_interpreter, r"the interpreter cannot be run: .*gone/bin/python"),
        (_no_folder, r"/gone is not a folder that the daemon can run in; make it: jarvis-trio init"),
        (_project_in_documents, r"Documents/jarvis is in .*/Documents, which macOS closes to agents; move it"),
        (_data_in_icloud_by_a_link, r"cloud/inbox is in .*/Library/Mobile Documents, which"),
        (_application_on_another_disk, r"/Volumes/Disk/app is in /Volumes, which"),
        (
            _file_in_the_way_of_the_logs,
            r"cannot write in .*Logs/Jarvis: .*Library/Logs is not a folder that you may write",
        ),
        (_folder_in_the_place_of_a_log, r"launchd could not write to .*launchd-stdout\.log, .*; remove it"),
        (_log_where_launchd_writes, r"DAEMON_LOG_FILE is .*, which launchd writes; choose another name"),
        (_loaded_from_elsewhere, r"is loaded from elsewhere \(.*checkout/ours\.plist\); .*launchctl bootout gui/"),
        (_loaded_and_its_plist_deleted, r"is loaded from elsewhere .*launchctl bootout gui/"),
    ],
)
def test_a_check_that_fails_says_why_and_the_fix(world: World, spoil: Callable[[World], None], message: str) -> None:
    spoil(world)
    before = world.snapshot()
    with pytest.raises(ServiceError, match=message) as caught:
        check(world.agent, world.launchctl)
    assert "\n" not in str(caught.value)
    assert world.snapshot() == before


def test_the_selftest_does_not_touch_a_database_that_machines_share(world: World, tmp_path: Path) -> None:
    shared = {**world.agent.settings, "JARVIS_DATABASE_URL": "postgresql://jarvis@homeserver/jarvis"}
    throw_away = selftest_agent(replace(world.agent, settings=shared, environment=shared), tmp_path / "selftest")
    assert "JARVIS_DATABASE_URL" not in {**throw_away.settings, **throw_away.environment}
    assert throw_away.environment["MEMORY_DB_PATH"] == str(tmp_path / "selftest/memory.db")


def test_anothers_home_is_refused(world: World) -> None:
    """sudo keeps HOME on macOS: the files would be root's, and the agent root's."""
    with pytest.raises(ServiceError, match="run this as its owner, without sudo"):
        check(world.agent, replace(world.launchctl, uid=UID + 1))


def test_the_interpreter_has_no_more_than_launchd_gives(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = world.home / "python"
    shell.write_text('#!/bin/sh\nenv > "$HOME/seen"\npwd >> "$HOME/seen"\n')
    shell.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", "/only/in/my/shell")
    check(replace(world.agent, python=shell), world.launchctl)
    seen = (world.home / "seen").read_text().splitlines()
    assert "PYTHONPATH=/only/in/my/shell" not in seen
    assert f"MEMORY_DB_PATH={world.agent.settings['MEMORY_DB_PATH']}" in seen
    assert seen[-1] == str(PROJECT)


@pytest.mark.parametrize(
    ("path", "closed"),
    [
        ("Documents/x", "Documents"),
        ("Documents/link-out", "Documents"),
        ("link-in", "Documents"),
        ("link-in/x", "Documents"),
        ("documents/x", "Documents"),
        ("Desktop", "Desktop"),
        ("Downloads/a/b", "Downloads"),
        ("Library/CloudStorage/Dropbox/x", "Library/CloudStorage"),
        ("Documents-of-mine/x", None),
        ("jarvis", None),
        ("Library/Application Support/Jarvis", None),
    ],
)
def test_it_knows_the_folders_that_macos_closes_to_agents(tmp_path: Path, path: str, closed: str | None) -> None:
    (tmp_path / "Documents").mkdir()
    (tmp_path / "Documents/link-out").symlink_to("/usr/bin/env")
    (tmp_path / "link-in").symlink_to(tmp_path / "Documents")
    assert privacy_folder(tmp_path / path, tmp_path) == (None if closed is None else tmp_path / closed)


GUIDE = (PROJECT / "docs/launchd.md").read_text("utf-8").partition("### Closed folders")[2].partition("\n### ")[0]
RECIPES = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)


@pytest.mark.skipif(shutil.which("bash") is None, reason="the recipe is for a shell")
@pytest.mark.parametrize("recipe", RECIPES, ids=["data", "all of it"])
def test_what_the_guide_says_of_closed_folders_opens_the_way(world: World, recipe: str) -> None:
    data = world.home / "Documents/GitHub/chief_of_staff/data"
    (data / "webhook-inbox").mkdir(parents=True)
    (data / "memory.db").write_text("rows")
    with pytest.raises(LaunchdError, match="closes to agents"):
        check_privacy(replace(world.agent, settings={"MEMORY_DB_PATH": str(data / "memory.db")}))

    code = f'set -e\n{recipe}\nprintf \'%s\\n\' "$MEMORY_DB_PATH" "$WEBHOOK_INBOX_DIR"'
    environment = {"HOME": str(world.home), "PATH": os.defpath}
    done = subprocess.run(["bash", "-c", code], env=environment, capture_output=True, text=True, check=True)
    database, inbox = done.stdout.split()
    check_privacy(replace(world.agent, settings={"MEMORY_DB_PATH": database, "WEBHOOK_INBOX_DIR": inbox}))
    assert Path(database).read_text() == (data / "memory.db").read_text() == "rows"
    assert Path(inbox).is_dir()
