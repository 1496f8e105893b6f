"""Approvals of executables, with real files."""

from __future__ import annotations

import json
import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jarvis_trio.errors import NotApprovedError
from jarvis_trio.handlers.approvals import Approvals, find_executable

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def approvals(tmp_path: Path) -> Approvals:
    return Approvals(tmp_path / "data" / "approved.json")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return write_script(tmp_path / "bin" / "backup")


def write_script(path: Path, text: str = "#!/bin/sh\necho good\n") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_an_approved_executable_passes(approvals: Approvals, script: Path) -> None:
    assert approvals.allow(script) == script
    assert approvals.check(script) == script
    assert approvals.list() == (script,)


def test_an_executable_that_nobody_approved_is_refused_with_the_mend(approvals: Approvals, script: Path) -> None:
    with pytest.raises(NotApprovedError, match=f"{script} is not approved to run; .*: jarvis-trio allow {script}$"):
        approvals.check(script)


def test_a_name_is_looked_up_on_path(approvals: Approvals, script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(script.parent))
    assert approvals.allow("backup") == script
    assert approvals.remove("backup") == script
    with pytest.raises(NotApprovedError, match="restore is not on PATH"):
        approvals.allow("restore")
    with pytest.raises(NotApprovedError, match="restore is not on PATH"):
        approvals.remove("restore")


def test_a_relative_path_is_approved_as_an_absolute_one(
    approvals: Approvals, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(script.parent)
    assert approvals.allow("./backup") == script


def test_a_replaced_executable_is_refused_until_it_is_approved_anew(approvals: Approvals, script: Path) -> None:
    approvals.allow(script)
    write_script(script, "#!/bin/sh\necho evil\n")
    with pytest.raises(NotApprovedError, match=r"was replaced since it was approved; .*: jarvis-trio allow"):
        approvals.check(script)
    approvals.allow(script)
    assert approvals.check(script) == script


def test_the_same_content_restored_from_a_backup_stays_approved(
    approvals: Approvals, script: Path, tmp_path: Path
) -> None:
    approvals.allow(script)
    copy = shutil.copy(script, tmp_path / "copy")
    script.unlink()
    shutil.move(copy, script)
    os.utime(script, (0, 0))
    assert approvals.check(script) == script


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777], ids=oct)
def test_an_executable_that_others_can_write_by_now_is_refused(approvals: Approvals, script: Path, mode: int) -> None:
    approvals.allow(script)
    script.chmod(mode)
    with pytest.raises(NotApprovedError, match=f"others can change it; .*chmod go-w {script}"):
        approvals.check(script)


def test_an_executable_in_a_folder_that_others_can_write_is_refused(approvals: Approvals, script: Path) -> None:
    approvals.allow(script)
    script.parent.chmod(0o777)
    with pytest.raises(NotApprovedError, match=f"others can change the folder {script.parent}; .*chmod o-w"):
        approvals.check(script)


def test_a_sticky_folder_is_safe_although_all_can_write_it(approvals: Approvals, script: Path) -> None:
    script.parent.chmod(0o1777)
    approvals.allow(script)
    assert approvals.check(script) == script


@as_root
def test_an_executable_of_another_user_is_refused(approvals: Approvals, script: Path) -> None:
    approvals.allow(script)
    os.chown(script, 65534, -1)
    with pytest.raises(NotApprovedError, match="others can change it"):
        approvals.check(script)


@as_root
def test_an_executable_in_a_folder_of_another_user_is_refused(approvals: Approvals, script: Path) -> None:
    os.chown(script.parent, 65534, -1)
    with pytest.raises(NotApprovedError, match="others can change the folder"):
        approvals.allow(script)


def test_an_executable_that_is_gone_is_refused(approvals: Approvals, script: Path) -> None:
    approvals.allow(script)
    script.unlink()
    with pytest.raises(NotApprovedError, match="there is no such file"):
        approvals.check(script)


def test_what_is_no_executable_file_cannot_be_approved(approvals: Approvals, script: Path) -> None:
    script.chmod(0o644)
    for path in (script, script.parent):
        with pytest.raises(NotApprovedError, match="is not an executable file"):
            approvals.allow(path)
    assert approvals.list() == ()


def test_what_is_not_there_cannot_be_approved(approvals: Approvals, tmp_path: Path) -> None:
    with pytest.raises(NotApprovedError, match="nowhere/tool cannot be approved: there is no such file"):
        approvals.allow(tmp_path / "nowhere" / "tool")


def test_a_loop_of_links_is_refused(approvals: Approvals, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(NotApprovedError, match="cannot be approved"):
        approvals.allow(tmp_path / "loop")


def test_links_of_folders_make_no_difference(approvals: Approvals, script: Path, tmp_path: Path) -> None:
    (tmp_path / "sbin").symlink_to("bin")
    approvals.allow(tmp_path / "sbin" / "backup")
    assert approvals.check(script) == script


def test_an_approved_link_does_not_approve_what_it_leads_to(approvals: Approvals, script: Path) -> None:
    link = script.with_name("link")
    link.symlink_to(script)
    assert approvals.allow(link) == link
    assert approvals.check(link) == link
    with pytest.raises(NotApprovedError, match="not approved"):
        approvals.check(script)


def test_a_link_to_an_approved_file_passes(approvals: Approvals, script: Path) -> None:
    link = script.with_name("link")
    link.symlink_to(script)
    approvals.allow(script)
    assert approvals.check(link) == link


def test_an_approved_link_that_leads_elsewhere_by_now_is_refused(approvals: Approvals, script: Path) -> None:
    link = script.with_name("link")
    link.symlink_to(script)
    approvals.allow(link)
    link.unlink()
    link.symlink_to(shutil.copy(script, script.with_name("other")))
    with pytest.raises(NotApprovedError, match="was replaced"):
        approvals.check(link)


def test_an_approval_can_be_taken_back_after_the_file_is_gone(approvals: Approvals, script: Path) -> None:
    approvals.allow(script)
    script.unlink()
    assert approvals.remove(script) == script
    assert approvals.list() == ()
    with pytest.raises(NotApprovedError, match="not in the list"):
        approvals.remove(script)


def test_the_list_is_private(approvals: Approvals, script: Path, tmp_path: Path) -> None:
    approvals.allow(script)
    file = tmp_path / "data" / "approved.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert os.listdir(file.parent) == [file.name]


def test_a_list_that_others_can_write_approves_nothing(approvals: Approvals, script: Path, tmp_path: Path) -> None:
    approvals.allow(script)
    (tmp_path / "data" / "approved.json").chmod(0o666)
    with pytest.raises(NotApprovedError, match=r"no plain file that only you can write; .*chmod 600"):
        approvals.check(script)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"executables": []}', "\xff", "[" * 100_000], ids=range(6))
def test_a_list_that_cannot_be_read_approves_nothing_and_says_so(tmp_path: Path, script: Path, text: str) -> None:
    file = tmp_path / "approved.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(NotApprovedError, match=r"approved executables.*approve anew"):
        Approvals(file).check(script)


def test_a_fifo_in_place_of_the_list_holds_nothing_up(tmp_path: Path, script: Path) -> None:
    os.mkfifo(tmp_path / "approved.json", 0o600)
    with pytest.raises(NotApprovedError, match="no plain file"):
        Approvals(tmp_path / "approved.json").check(script)


def test_approvals_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    scripts = [write_script(tmp_path / "bin" / f"s{number:02}") for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda script: Approvals(tmp_path / "list.json").allow(script), scripts))
    assert Approvals(tmp_path / "list.json").list() == tuple(scripts)


def test_the_list_is_json_that_a_person_can_read(approvals: Approvals, script: Path, tmp_path: Path) -> None:
    approvals.allow(script)
    entry = json.loads((tmp_path / "data" / "approved.json").read_text())["executables"][str(script)]
    assert entry["target"] == str(script)
    assert len(entry["sha256"]) == 64


def test_a_command_is_found_where_it_is_or_on_the_path(script: Path) -> None:
    assert find_executable(str(script), "") == script
    assert find_executable("backup", f"/nowhere:{script.parent}") == script


def test_what_depends_on_the_current_folder_is_never_found(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(script.parent)
    assert find_executable("./backup", str(script.parent)) is None
    assert find_executable("backup", ".::bin") is None


def test_a_list_that_cannot_be_written_is_told_in_one_line(tmp_path: Path, script: Path) -> None:
    (tmp_path / "data").write_text("a file, where the folder should be")
    with pytest.raises(NotApprovedError, match=r"^cannot write the list of approved executables \S+approved\.json: "):
        Approvals(tmp_path / "data" / "approved.json").allow(script)
