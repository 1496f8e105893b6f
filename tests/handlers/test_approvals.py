"""What a person approved may run, and nothing else: with real files (law 9)."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from jarvis_trio.errors import NotApprovedError
from jarvis_trio.handlers.approvals import Approvals, ApprovedExecutable, find_executable
from jarvis_trio.handlers.commands import Command
from jarvis_trio.handlers.trust import is_private_group

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def approvals(tmp_path: Path) -> Approvals:
    return Approvals(tmp_path / "data" / "approved.json")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return write_script(tmp_path / "bin" / "backup")


HOME = "/nowhere"


def command(program: Path, *arguments: str, **settings: Any) -> Command:
    return Command((str(program), *arguments), **settings)


def check(approvals: Approvals, program: Path, *arguments: str, **settings: Any) -> Path:
    return approvals.check(command(program, *arguments, **settings), "", HOME)


def a_group_with_others() -> int:
    """The number of a group that somebody else is in."""
    return next(entry.pw_gid for entry in pwd.getpwall() if entry.pw_uid not in (0, os.geteuid()))


def write_script(path: Path, text: str = "#!/bin/sh\necho good\n") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_an_approved_executable_passes(approvals: Approvals, script: Path) -> None:
    assert approvals.allow(script) == script
    assert check(approvals, script) == script
    assert approvals.executables() == (ApprovedExecutable(script),)


def test_an_executable_that_nobody_approved_is_refused_with_the_mend(approvals: Approvals, script: Path) -> None:
    with pytest.raises(NotApprovedError, match=f"{script} is not approved to run; .*: jarvis-trio allow {script}$"):
        check(approvals, script)


def test_a_name_is_looked_up_on_path(approvals: Approvals, script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(script.parent))
    assert approvals.allow("backup") == script
    assert approvals.revoke("backup") == script
    with pytest.raises(NotApprovedError, match="restore is not on PATH"):
        approvals.allow("restore")
    with pytest.raises(NotApprovedError, match="restore is not on PATH"):
        approvals.revoke("restore")


def test_a_relative_path_is_approved_as_an_absolute_one(
    approvals: Approvals, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(script.parent)
    assert approvals.allow("./backup") == script


def test_a_pinned_executable_that_was_replaced_is_refused_until_it_is_approved_again(
    approvals: Approvals, script: Path
) -> None:
    approvals.allow(script, pin=True)
    assert approvals.executables() == (ApprovedExecutable(script, pinned=True),)
    write_script(script, "#!/bin/sh\necho evil\n")
    with pytest.raises(NotApprovedError, match=f"was replaced .*; .*: jarvis-trio allow --pin {script}$"):
        check(approvals, script)
    approvals.allow(script, pin=True)
    assert check(approvals, script) == script
    approvals.allow(script, pin=True, for_agents=True)
    write_script(script, "#!/bin/sh\necho worse\n")
    with pytest.raises(NotApprovedError, match=f"was replaced .*; .*: jarvis-trio allow --pin --for-agents {script}$"):
        check(approvals, script)


def test_the_same_content_restored_from_a_backup_stays_approved(
    approvals: Approvals, script: Path, tmp_path: Path
) -> None:
    approvals.allow(script, pin=True)
    copy = shutil.copy(script, tmp_path / "copy")
    script.unlink()
    shutil.move(copy, script)
    os.utime(script, (0, 0))
    assert check(approvals, script) == script


@pytest.mark.parametrize("mode", [0o757, 0o777], ids=oct)
def test_an_executable_that_others_can_write_by_now_is_refused(approvals: Approvals, script: Path, mode: int) -> None:
    approvals.allow(script)
    script.chmod(mode)
    with pytest.raises(NotApprovedError, match=f"others can change it; .*chmod go-w {script}"):
        check(approvals, script)


def test_an_executable_in_a_folder_that_others_can_write_is_refused(approvals: Approvals, script: Path) -> None:
    approvals.allow(script)
    script.parent.chmod(0o777)
    with pytest.raises(NotApprovedError, match=f"others can change the folder {script.parent}; .*chmod go-w"):
        check(approvals, script)


def test_a_sticky_folder_is_safe_although_all_can_write_it(approvals: Approvals, script: Path) -> None:
    script.parent.chmod(0o1777)
    approvals.allow(script)
    assert check(approvals, script) == script


@as_root
def test_an_executable_of_another_user_is_refused(approvals: Approvals, script: Path) -> None:
    approvals.allow(script)
    os.chown(script, 65534, -1)
    with pytest.raises(NotApprovedError, match="others can change it"):
        check(approvals, script)


@as_root
def test_an_executable_in_a_folder_of_another_user_is_refused(approvals: Approvals, script: Path) -> None:
    os.chown(script.parent, 65534, -1)
    with pytest.raises(NotApprovedError, match="others can change the folder"):
        approvals.allow(script)


def test_an_executable_that_is_gone_is_refused(approvals: Approvals, script: Path) -> None:
    approvals.allow(script)
    script.unlink()
    with pytest.raises(NotApprovedError, match="there is no such file"):
        check(approvals, script)


def test_what_is_no_executable_file_cannot_be_approved(approvals: Approvals, script: Path) -> None:
    script.chmod(0o644)
    for path in (script, script.parent):
        with pytest.raises(NotApprovedError, match="is not an executable file"):
            approvals.allow(path)
    assert approvals.executables() == ()


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
    assert check(approvals, script) == script


def test_an_approved_link_does_not_approve_what_it_leads_to(approvals: Approvals, script: Path) -> None:
    link = script.with_name("link")
    link.symlink_to(script)
    assert approvals.allow(link) == link
    assert check(approvals, link) == link
    with pytest.raises(NotApprovedError, match="not approved"):
        check(approvals, script)


def test_a_link_to_an_approved_file_passes(approvals: Approvals, script: Path) -> None:
    link = script.with_name("link")
    link.symlink_to(script)
    approvals.allow(script)
    assert check(approvals, link) == link


def test_an_approved_link_that_leads_elsewhere_by_now_is_refused(approvals: Approvals, script: Path) -> None:
    link = script.with_name("link")
    link.symlink_to(script)
    approvals.allow(link, pin=True)
    link.unlink()
    link.symlink_to(shutil.copy(script, script.with_name("other")))
    with pytest.raises(NotApprovedError, match="was replaced"):
        check(approvals, link)


def test_an_approval_can_be_taken_back_after_the_file_is_gone(approvals: Approvals, script: Path) -> None:
    approvals.allow(script)
    script.unlink()
    assert approvals.revoke(script) == script
    assert approvals.executables() == ()
    with pytest.raises(NotApprovedError, match="not in the list"):
        approvals.revoke(script)


def test_the_list_is_private(approvals: Approvals, script: Path, tmp_path: Path) -> None:
    approvals.allow(script)
    file = tmp_path / "data" / "approved.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert os.listdir(file.parent) == [file.name]


def test_a_list_that_others_can_write_approves_nothing(approvals: Approvals, script: Path, tmp_path: Path) -> None:
    approvals.allow(script)
    (tmp_path / "data" / "approved.json").chmod(0o666)
    with pytest.raises(NotApprovedError, match=r"not a plain file that only you can write; .*chmod 600"):
        check(approvals, script)


ENTRY = {"command": ["x"], "cwd": None, "env": [], "secrets": [], "steering": {}}
NO_PROGRAM = json.dumps({"executables": {}, "commands": [ENTRY]})


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"executables": []}', "\xff", "[" * 100_000, NO_PROGRAM], ids=range(7)
)
def test_a_list_that_cannot_be_read_approves_nothing_and_says_so(tmp_path: Path, script: Path, text: str) -> None:
    file = tmp_path / "approved.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(NotApprovedError, match=r"approved commands.*approve again"):
        check(Approvals(file), script)


def test_a_fifo_in_place_of_the_list_holds_nothing_up(tmp_path: Path, script: Path) -> None:
    os.mkfifo(tmp_path / "approved.json", 0o600)
    with pytest.raises(NotApprovedError, match="not a plain file"):
        check(Approvals(tmp_path / "approved.json"), script)


def test_a_list_that_is_too_large_to_be_one_is_refused(tmp_path: Path, script: Path) -> None:
    file = tmp_path / "approved.json"
    file.touch(0o600)
    os.truncate(file, 2**40)
    with pytest.raises(NotApprovedError, match=r"cannot be read \(it is larger than 16 MiB\)"):
        check(Approvals(file), script)


def test_approvals_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    scripts = [write_script(tmp_path / "bin" / f"s{number:02}") for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda script: Approvals(tmp_path / "list.json").allow(script), scripts))
    assert [entry.path for entry in Approvals(tmp_path / "list.json").executables()] == scripts


def test_the_list_is_json_that_a_person_can_read(approvals: Approvals, script: Path, tmp_path: Path) -> None:
    approvals.allow(script, pin=True)
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
    with pytest.raises(NotApprovedError, match=r"^cannot write the list of approved commands \S+approved\.json: "):
        Approvals(tmp_path / "data" / "approved.json").allow(script)


@as_root
def test_a_group_with_others_in_it_may_write_neither_the_file_nor_its_folders(
    approvals: Approvals, script: Path
) -> None:
    approvals.allow(script)
    for path in (script, script.parent):
        os.chown(path, -1, a_group_with_others())
        path.chmod(0o775)
        with pytest.raises(NotApprovedError, match=f"others can change .*chmod go-w {path}"):
            check(approvals, script)
        path.chmod(0o755)


def test_a_private_group_of_the_user_alone_is_no_other(approvals: Approvals, script: Path) -> None:
    if not is_private_group(script.stat().st_gid):
        pytest.skip("this user's group has other members")
    for path in (script, script.parent):
        path.chmod(0o775)
    approvals.allow(script)
    assert check(approvals, script) == script


def test_a_group_that_nobody_knows_is_not_private() -> None:
    assert not is_private_group(2_000_000_000)
    assert not is_private_group(a_group_with_others())


def test_a_folder_between_two_links_that_others_can_write_is_refused(
    approvals: Approvals, script: Path, tmp_path: Path
) -> None:
    middle = tmp_path / "middle"
    middle.mkdir()
    (middle / "link").symlink_to(script)
    (tmp_path / "start").symlink_to(middle / "link")
    approvals.allow(tmp_path / "start")
    middle.chmod(0o777)
    with pytest.raises(NotApprovedError, match=f"others can change the folder {middle}"):
        check(approvals, tmp_path / "start")


@pytest.mark.law(9)
def test_law_9_a_command_is_approved_exactly_as_it_is(approvals: Approvals, script: Path) -> None:
    approved = command(script, "--all", variables={"LEVEL": "3"}, secrets=("KEY",), folder="/srv")
    assert approvals.allow_command(approved, "") == script
    assert approvals.check(approved, "", HOME) == script
    others = [
        command(script, "--none", variables={"LEVEL": "3"}, secrets=("KEY",), folder="/srv"),
        command(script, "--all", variables={"LEVEL": "3"}, secrets=("KEY",), folder="/tmp"),
        command(script, "--all", variables={"LEVEL": "3"}, secrets=("KEY",)),
        command(script, "--all", variables={"LEVEL": "3", "MORE": ""}, secrets=("KEY",), folder="/srv"),
        command(script, "--all", variables={"LEVEL": "3", "KEY": "x"}, folder="/srv"),
        command(script, "--all", secrets=("KEY",), folder="/srv"),
        command(script, "--all", variables={"LEVEL": "3"}, secrets=("KEY", "PASSWORD"), folder="/srv"),
    ]
    for other in others:
        with pytest.raises(NotApprovedError, match="is not approved to run"):
            approvals.check(other, "", HOME)


def test_the_value_of_a_variable_may_change_unless_it_decides_what_code_runs(
    approvals: Approvals, script: Path
) -> None:
    approvals.allow_command(command(script, variables={"LEVEL": "3", "PATH": "/usr/bin"}), "")
    assert check(approvals, script, variables={"LEVEL": "4", "PATH": "/usr/bin"}) == script
    with pytest.raises(NotApprovedError, match="is not approved to run"):
        check(approvals, script, variables={"LEVEL": "3", "PATH": "/tmp/evil:/usr/bin"})


def test_the_list_holds_no_value_of_a_plain_variable(approvals: Approvals, script: Path, tmp_path: Path) -> None:
    approvals.allow_command(command(script, variables={"LEVEL": "hunter22"}), "")
    assert "hunter22" not in (tmp_path / "data" / "approved.json").read_text()


def test_an_approved_command_goes_on_after_an_upgrade_of_its_program(approvals: Approvals, script: Path) -> None:
    approvals.allow_command(command(script, "--all"), "")
    write_script(script, "#!/bin/sh\necho better\n")
    assert check(approvals, script, "--all") == script


def test_a_pinned_command_does_not(approvals: Approvals, script: Path) -> None:
    approvals.allow_command(command(script, "--all"), "", pin=True)
    assert [entry.pinned for entry in approvals.commands()] == [True]
    write_script(script, "#!/bin/sh\necho evil\n")
    with pytest.raises(NotApprovedError, match=r"was replaced .*; .*: jarvis-trio allow --pin --task job$"):
        check(approvals, script, "--all", task="job")


def test_a_command_that_was_changed_behind_its_tasks_back_says_what_it_is_now(
    approvals: Approvals, script: Path
) -> None:
    approvals.allow_command(command(script, "--all", task="backup"), "")
    with pytest.raises(NotApprovedError, match=r"was changed since it was approved.*--evil; .*allow --task backup"):
        check(approvals, script, "--evil", task="backup")


def test_a_name_means_the_program_that_it_meant_when_it_was_approved(
    approvals: Approvals, script: Path, tmp_path: Path
) -> None:
    write_script(tmp_path / "other" / "backup")
    approvals.allow_command(Command(("backup",)), str(script.parent))
    assert approvals.check(Command(("backup",)), str(script.parent), HOME) == script
    with pytest.raises(NotApprovedError, match=f"backup is {tmp_path}/other/backup now; approved was {script}"):
        approvals.check(Command(("backup",)), str(tmp_path / "other"), HOME)


@pytest.mark.law(9)
@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "DYLD_INSERT_LIBRARIES",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "BASH_ENV",
        "AWKPATH",
        "ENV",
        "NODE_OPTIONS",
        "PERL5LIB",
        "PERL5OPT",
        "RUBYOPT",
        "RUBYLIB",
        "GIT_SSH_COMMAND",
        "JAVA_TOOL_OPTIONS",
        "IFS",
        "GOFLAGS",
        "CC",
        "MAVEN_OPTS",
        "RCLONE_PASSWORD_COMMAND",
        "COR_PROFILER_PATH",
    ],
)
@pytest.mark.parametrize("kind", ["variables", "secrets"])
def test_law_9_a_variable_that_decides_what_code_runs_needs_the_exact_command(
    approvals: Approvals, script: Path, name: str, kind: str
) -> None:
    settings: dict[str, Any] = {"variables": {name: "/tmp/evil"}} if kind == "variables" else {"secrets": (name,)}
    approvals.allow(script)
    assert check(approvals, script, "--any", variables={"LEVEL": "3"}, secrets=("API_KEY",)) == script
    with pytest.raises(NotApprovedError, match=rf"sets {name}, which decides what code runs; .*allow --task backup"):
        check(approvals, script, task="backup", **settings)
    approvals.allow_command(command(script, **settings), "")
    assert check(approvals, script, **settings) == script


@pytest.mark.law(9)
def test_law_9_another_folder_than_the_home_folder_needs_the_exact_command(
    approvals: Approvals, script: Path, tmp_path: Path
) -> None:
    approvals.allow(script)
    assert check(approvals, script, folder=HOME) == script
    with pytest.raises(NotApprovedError, match=r"runs in .*, which can decide what code runs"):
        check(approvals, script, folder=str(tmp_path))
    approvals.allow_command(command(script, folder=str(tmp_path)), "")
    assert check(approvals, script, folder=str(tmp_path)) == script


def test_what_an_agent_makes_needs_an_executable_for_agents_or_the_exact_command(
    approvals: Approvals, script: Path
) -> None:
    approvals.allow(script)
    with pytest.raises(NotApprovedError, match=f"not approved to run; .*: jarvis-trio allow --for-agents {script}$"):
        check(approvals, script, "a", by_agent=True)
    approvals.allow_command(command(script, "a"), "")
    assert check(approvals, script, "a", by_agent=True) == script
    with pytest.raises(NotApprovedError, match="not approved to run"):
        check(approvals, script, "b", by_agent=True)
    approvals.allow(script, for_agents=True)
    assert check(approvals, script, "b", by_agent=True) == script
    assert approvals.executables() == (ApprovedExecutable(script, for_agents=True),)


@pytest.mark.law(9)
def test_law_9_what_an_agent_makes_gets_a_secret_only_as_the_exact_command(approvals: Approvals, script: Path) -> None:
    approvals.allow(script, for_agents=True)
    with pytest.raises(NotApprovedError, match=r"asks for the secrets KEY; .*exactly .*allow --task job"):
        check(approvals, script, by_agent=True, secrets=("KEY",), task="job")
    assert check(approvals, script, secrets=("KEY",), task="job") == script
    approvals.allow_command(command(script, secrets=("KEY",)), "")
    assert check(approvals, script, by_agent=True, secrets=("KEY",), task="job") == script


@pytest.mark.parametrize(
    "settings",
    [
        {"variables": {"PATH": "/tmp"}},
        {"secrets": ("LD_PRELOAD",)},
        {"folder": "/"},
        {"by_agent": True, "secrets": ("KEY",)},
    ],
    ids=["a variable that decides", "a secret that decides", "another folder", "an agent's secret"],
)
def test_an_approval_of_the_program_is_not_advised_if_it_would_not_be_enough(
    approvals: Approvals, script: Path, settings: dict[str, Any]
) -> None:
    with pytest.raises(NotApprovedError, match=r"not approved to run; .*exactly .*: jarvis-trio allow --task job$"):
        check(approvals, script, task="job", **settings)
    approvals.allow_command(command(script, task="job", **settings), "")
    with pytest.raises(NotApprovedError, match=r"was changed .*exactly .*: jarvis-trio allow --task job$"):
        check(approvals, script, "other words", task="job", **settings)


def test_no_approval_is_advised_of_what_cannot_be_approved(approvals: Approvals, script: Path) -> None:
    script.chmod(0o777)
    with pytest.raises(
        NotApprovedError, match=rf"not approved .*cannot be: others can change it; .*: chmod go-w {script}$"
    ):
        check(approvals, script, task="job")
    script.chmod(0o700)
    with pytest.raises(NotApprovedError, match=r"not approved to run; .*: jarvis-trio allow --task job; or "):
        check(approvals, script, task="job")


@pytest.mark.parametrize("name", ["sh", "python3", "python3.13", "env", "sudo", "xargs", "find", "perl5.36.0"])
def test_what_runs_anything_is_never_approved_for_agents(approvals: Approvals, tmp_path: Path, name: str) -> None:
    program = write_script(tmp_path / "bin" / name)
    with pytest.raises(NotApprovedError, match=r"cannot be approved for agents.*allow --task NAME"):
        approvals.allow(program, for_agents=True)
    innocent = program.with_name("innocent")
    innocent.symlink_to(program)
    with pytest.raises(NotApprovedError, match="cannot be approved for agents"):
        approvals.allow(innocent, for_agents=True)


def test_the_approval_of_a_command_can_be_taken_back(approvals: Approvals, script: Path) -> None:
    approvals.allow_command(command(script, "a"), "")
    approvals.allow_command(command(script, "b"), "")
    approvals.allow_command(command(script, "b"), "")
    assert [entry.command.words[1] for entry in approvals.commands()] == ["a", "b"]
    approvals.revoke_commands("job", command(script, "a"))
    with pytest.raises(NotApprovedError):
        check(approvals, script, "a")
    with pytest.raises(NotApprovedError, match="no command of task 'job' is in the list"):
        approvals.revoke_commands("job", command(script, "a"))
    assert check(approvals, script, "b") == script


def version_1(script: Path) -> str:
    """The list as version 1.0.0 wrote it."""
    content = hashlib.sha256(script.read_bytes()).hexdigest()
    return json.dumps({"executables": {str(script): {"target": str(script), "sha256": content}}})


def test_the_list_of_version_1_is_read_and_stays_pinned(tmp_path: Path, script: Path) -> None:
    file = tmp_path / "approved.json"
    file.write_text(version_1(script))
    file.chmod(0o600)
    approvals = Approvals(file)
    assert check(approvals, script, "--any") == script
    approvals.allow_command(command(write_script(script.with_name("new"))), "")
    write_script(script, "#!/bin/sh\necho evil\n")
    with pytest.raises(NotApprovedError, match="was replaced since it was approved"):
        check(approvals, script)


def test_version_1_approves_nothing_more_by_the_list_of_this_version(approvals: Approvals, script: Path) -> None:
    approvals.allow(script)
    (file,) = (Path(folder) / name for folder, _, names in os.walk(script.parents[1] / "data") for name in names)
    entry = json.loads(file.read_text())["executables"][str(script)]
    assert "sha256" not in entry  # which it compares, and so refuses


def test_a_link_that_leads_up_and_down_again_is_followed_as_the_kernel_follows_it(
    approvals: Approvals, script: Path, tmp_path: Path
) -> None:
    link = tmp_path / "links" / "backup"
    link.parent.mkdir()
    link.symlink_to(f"../{script.parent.name}/{script.name}")
    approvals.allow(link)
    assert check(approvals, link) == link

    script.parent.chmod(0o777)
    with pytest.raises(NotApprovedError, match="others can change the folder"):
        check(approvals, link)


def test_the_folder_of_each_link_on_the_way_has_to_be_safe(approvals: Approvals, script: Path, tmp_path: Path) -> None:
    shared, current, start = (tmp_path / name for name in ("shared", "current", "start"))
    shared.mkdir()
    (shared / "link").symlink_to(script.parent)
    current.symlink_to(shared / "link")
    start.symlink_to(current / script.name)
    approvals.allow(start)
    shared.chmod(0o777)
    with pytest.raises(NotApprovedError, match=f"others can change the folder {shared}"):
        check(approvals, start)


@as_root
def test_a_link_of_another_user_in_a_sticky_folder_is_refused(
    approvals: Approvals, script: Path, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    link = shared / "backup"
    link.symlink_to(script)
    assert approvals.allow(link) == link
    os.chown(link, 65534, -1, follow_symlinks=False)
    with pytest.raises(NotApprovedError, match=f"the link {link} belongs to another user"):
        check(approvals, link)
