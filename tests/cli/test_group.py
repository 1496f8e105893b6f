"""The command line as a whole: its help, its exit codes, its errors, and what it does not import."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import click
import pytest

from jarvis_trio.cli import SECTIONS, program
from jarvis_trio.cli.group import LazyCommand
from tests.support.cli_world import CHECKOUT, Cli, Program
from tests.support.core_fakes import ASSISTANTS

ALL = [command for section in SECTIONS.values() for command in section]
HEAVY = [
    "trio",
    "rich",
    "psutil",
    "smtplib",
    "urllib.request",
    "apprise",
    "jarvis_trio.engine.engine",
    "jarvis_trio.handlers.registry",
]


def imported(*arguments: str, **environment: str) -> set[str]:
    """The modules that a command has imported when it ends, without those of a bare interpreter (and of coverage)."""
    begin, run = "import sys; bare = {*sys.modules}", "from jarvis_trio.cli import main; main(sys.argv[1:])"
    code = f"{begin}; {run}; print(*sys.modules.keys() - bare, file=sys.stderr)"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(
        command, cwd=CHECKOUT, env=os.environ | environment, capture_output=True, text=True, timeout=180
    )
    return set(done.stderr.split())


def with_subcommands(command: click.Command) -> list[click.Command]:
    return [command, *(command.commands.values() if isinstance(command, click.Group) else ())]


@pytest.mark.parametrize("lazy", ALL, ids=lambda lazy: lazy.name)
def test_the_summary_is_how_the_commands_own_help_begins(lazy: LazyCommand) -> None:
    assert lazy.short_help is not None
    assert (lazy.load().help or "").startswith(lazy.short_help.removesuffix("."))


@pytest.mark.parametrize("lazy", ALL, ids=lambda lazy: lazy.name)
def test_a_help_of_80_columns_cuts_no_summary_short(lazy: LazyCommand) -> None:
    command = lazy.load()
    out = command.get_help(click.Context(command, info_name=lazy.name, max_content_width=80, terminal_width=80))
    assert [line for line in out.splitlines() if line.endswith("...") and not line.startswith("Usage:")] == []


@pytest.mark.parametrize("lazy", ALL, ids=lambda lazy: lazy.name)
def test_a_help_of_80_columns_has_no_wider_line(lazy: LazyCommand) -> None:
    for command in with_subcommands(lazy.load()):
        context = click.Context(command, info_name=command.name, max_content_width=80, terminal_width=80)
        assert [line for line in command.get_help(context).splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("lazy", ALL, ids=lambda lazy: lazy.name)
def test_every_help_has_an_example_and_every_option_is_explained(lazy: LazyCommand) -> None:
    for command in with_subcommands(lazy.load()):
        assert "\b\nExample:\n  jarvis-trio" in (command.help or "").replace("\n    ", "\n"), command.name
        options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
        assert [option.name for option in options if not option.help] == []


def test_help_lists_all_commands_without_importing_one(cli: Cli) -> None:
    out = cli.ok("--help")
    for command in ALL:
        assert re.search(rf"^  {command.name} +\S", out, re.MULTILINE), command.name
    assert {name for name in imported("--help") if name.startswith("jarvis_trio.cli.")} == {
        "jarvis_trio.cli.group",
    }


def test_what_only_a_mistake_or_a_shell_needs_is_not_imported(cli: Cli) -> None:
    assert imported("list", "--json") & {"difflib", "click.shell_completion"} == set()


@pytest.mark.parametrize(
    "arguments",
    [["list", "--json"], ["status", "--json"], ["history", "--json"], ["run-now", "--help"], ["--help"]],
)
def test_what_is_light_imports_nothing_heavy(cli: Cli, arguments: list[str]) -> None:
    assert imported(*arguments) & set(HEAVY) == set()


def test_a_table_needs_rich_and_no_more(cli: Cli) -> None:
    cli.ok("add", "job", "--every", "5m", "--", "true")
    assert imported("list") & set(HEAVY) == {"rich"}


def test_a_list_imports_nothing_that_explains_foretells_or_asks(cli: Cli) -> None:
    """Nor OpenSSL and sockets, which cost 4 ms."""
    cli.ok("add", "job", "--every", "5m", "--", "true")
    unneeded = {"jarvis_trio.insight", "jarvis_trio.desk.errands", "jarvis_trio.store.moving", "_hashlib", "socket"}
    assert imported("list") & unneeded == set()


def test_a_list_of_intervals_imports_no_other_schedule_and_no_table_that_it_does_not_read(cli: Cli) -> None:
    cli.ok("add", "job", "--every", "5m", "--", "true")
    ours = {name.removeprefix("jarvis_trio.") for name in imported("list") if name.startswith("jarvis_trio.")}
    unread = {f"store.{part}" for part in ("assistant", "machines", "outbox", "requests")}
    assert ours & (unread | {"schedules.cron", "schedules.once", "schedules.firing"}) == set()
    assert len(ours) <= 56


def test_a_tick_needs_no_event_loop(cli: Cli) -> None:
    assert "trio" not in imported("tick")


def test_the_version_is_told(cli: Cli) -> None:
    assert re.fullmatch(r"jarvis-trio, version \d+\.\d+\.\d+\n", cli.ok("--version"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lst"], "No such command 'lst'. Did you mean 'list'?; see: jarvis-trio --help"),
        (["list", "--jsn"], "No such option '--jsn'. Did you mean '--json'?; see: jarvis-trio list --help"),
        (["show"], "Missing argument 'NAME|RUN'; see: jarvis-trio show --help"),
        (
            ["completion"],
            "Missing argument '{bash|fish|zsh}'. Choose from: bash, fish, zsh; see: jarvis-trio completion --help",
        ),
    ],
)
def test_wrong_usage_is_one_line_with_the_nearest_name_and_exit_2(cli: Cli, arguments: list[str], said: str) -> None:
    assert cli.fails(*arguments, code=2) == f"jarvis-trio: {said}\n"


def test_a_group_without_a_command_shows_its_help_on_stderr_and_exits_2(cli: Cli) -> None:
    done = cli("launchd")
    assert (done.code, done.out) == (2, "")
    assert done.err == cli.ok("launchd", "--help")


def test_a_name_that_is_nearly_right_is_suggested(cli: Cli) -> None:
    cli.ok("add", "backup", "--every", "5m", "--", "true")
    said = "no task is named 'bakup'; did you mean 'backup'? `jarvis-trio list` shows the names"
    for command in ("show", "pause", "resume", "remove", "run-now", "history"):
        assert cli.fails(command, "bakup") == f"jarvis-trio: {said}\n"


def test_control_characters_never_reach_the_terminal(cli: Cli) -> None:
    cli.ok("allow", "true")
    cli.ok("add", "plain", "--every", "5m", "--", "true")
    cli.change("plain", name="bad\x1b]0;owned\x07\nname\u202e", description="\x9b2J")
    cli.ok("run-now", "bad\x1b]0;owned\x07\nname\u202e")
    for arguments in (["list"], ["list", "--json"], ["history"], ["history", "--json"], ["status"], ["show", "1"]):
        out = cli.ok(*arguments)
        assert re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", out) is None, arguments
        assert "owned" in out or arguments == ["status"]
    assert "\x1b" not in cli.fails("show", "\x1b[31m")


def test_a_bad_setting_is_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAEMON_TICK_INTERVAL_SECONDS", "soon")
    said = cli.fails("list")
    assert "DAEMON_TICK_INTERVAL_SECONDS must be a whole number of seconds from 1 to" in said
    assert "'soon'" in said


@pytest.mark.parametrize("command", ["list", "status", "history", "tick", "run", "export"])
def test_a_missing_database_is_an_error_with_its_mend_and_is_not_made(cli: Cli, command: str) -> None:
    cli.path.unlink()
    said = cli.fails(command)
    assert said == f"jarvis-trio: Memory DB not found at {cli.path}; make it with: jarvis-trio init\n"
    assert not cli.path.exists()


@pytest.mark.law(8)
@pytest.mark.parametrize(
    "command", ["list", "show backup", "status", "history", "forecast", "explain backup", "timeline", "export"]
)
def test_what_only_shows_changes_no_file_of_another_program(cli: Cli, command: str) -> None:
    cli.path.unlink()
    with closing(sqlite3.connect(cli.path)) as connection:
        connection.executescript(ASSISTANTS)
    before = {path.name: path.read_bytes() for path in cli.data.iterdir()}
    cli.ok(*command.split())
    cli.fails("machines")  # which is of databases that machines share
    assert {path.name: path.read_bytes() for path in cli.data.iterdir()} == before


@pytest.mark.parametrize("columns", ["0", "1"])
@pytest.mark.parametrize("command", ["list", "status", "timeline", "settings"])
def test_a_terminal_that_does_not_know_its_width_gets_a_usual_one(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, columns: str, command: str
) -> None:
    cli.ok("add", "a", "--every", "1h", "--handler", "alert_eval")
    monkeypatch.setenv("COLUMNS", "80")
    usual = cli.ok(command)
    monkeypatch.setenv("COLUMNS", columns)
    assert cli.ok(command) == usual != ""


def test_what_is_no_database_is_refused_and_left_alone(cli: Cli) -> None:
    cli.path.unlink()
    cli.path.write_text("a diary, and a long one: " + "dear diary, " * 500)
    before = cli.path.read_bytes()
    assert "is not a SQLite database" in cli.fails("list")
    assert cli.path.read_bytes() == before


@pytest.mark.parametrize("command", ["list", "status", "tick", "run"])
def test_a_place_that_cannot_be_looked_at_is_not_called_empty(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("MEMORY_DB_PATH", str(cli.path / "memory.db"))  # below a file
    said = f"cannot use the database {cli.path}/memory.db: Not a directory; let MEMORY_DB_PATH name a file"
    assert said in cli.fails(command)


def test_a_folder_in_the_databases_place_is_refused(cli: Cli) -> None:
    cli.path.unlink()
    cli.path.mkdir()
    assert f"cannot use the database {cli.path}" in cli.fails("list")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do anything")
def test_a_database_without_permission_is_refused(cli: Cli) -> None:
    cli.path.chmod(0)
    assert "Permission denied" in cli.fails("list")


def test_the_database_of_a_newer_program_is_refused_and_left_alone(cli: Cli) -> None:
    with closing(sqlite3.connect(cli.path, isolation_level=None)) as connection:
        connection.execute("UPDATE jarvis_meta SET value = '999' WHERE key = 'schema_version'")
    before = cli.path.read_bytes()
    assert "has schema 999" in cli.fails("list")
    assert cli.path.read_bytes() == before


@pytest.mark.slow
def test_a_reader_that_has_enough_is_no_error_to_shout_about(program: Program) -> None:
    program("init")
    process = program.start("list", "--json")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(180) in (0, 1)
    assert process.stderr is not None
    assert process.stderr.read() == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_program(cli: Cli, shell: str) -> None:
    script = cli.ok("completion", shell)
    assert "_JARVIS_TRIO_COMPLETE" in script
    assert "jarvis-trio" in script


@pytest.mark.slow
def test_completion_knows_the_commands_and_imports_none(program: Program) -> None:
    done = program(_JARVIS_TRIO_COMPLETE="bash_complete", COMP_WORDS="jarvis-trio h", COMP_CWORD="1")
    assert done.out == "plain,history\n"


@pytest.mark.slow
def test_completion_knows_the_tasks(program: Program) -> None:
    program("init")
    done = program(_JARVIS_TRIO_COMPLETE="bash_complete", COMP_WORDS="jarvis-trio pause a", COMP_CWORD="2")
    assert done.out == "plain,alert_eval\n"
    forecast = program(_JARVIS_TRIO_COMPLETE="bash_complete", COMP_WORDS="jarvis-trio forecast a", COMP_CWORD="2")
    assert forecast.out == "plain,alert_eval\n"
    logs = program(_JARVIS_TRIO_COMPLETE="bash_complete", COMP_WORDS="jarvis-trio logs --task w", COMP_CWORD="3")
    assert logs.out == "plain,webhook_poll\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("add x --deliver e", ["email"]),
        ("edit x --deliver no", ["none", "notification"]),
        ("deliver-test t", ["teams"]),
        ("add x --handler w", ["webhook_poll"]),
        ("add x --timezone Europe/Berl", ["Europe/Berlin"]),
    ],
)
def test_completion_knows_what_an_option_can_be_given(program: Program, words: str, names: list[str]) -> None:
    number = str(len(words.split()))
    done = program(_JARVIS_TRIO_COMPLETE="bash_complete", COMP_WORDS=f"jarvis-trio {words}", COMP_CWORD=number)
    assert done.out.split() == [f"plain,{name}" for name in names]


def test_no_two_commands_share_a_name() -> None:
    assert len(program.commands) == len(ALL)


@pytest.mark.slow
def test_without_a_database_no_names_are_completed(program: Program) -> None:
    done = program(_JARVIS_TRIO_COMPLETE="bash_complete", COMP_WORDS="jarvis-trio pause a", COMP_CWORD="2")
    assert (done.code, done.out.strip(), done.err) == (0, "", "")


NO_TEXT = "caf\udce9"  # how Python holds the bytes of a word in Latin-1


@pytest.mark.parametrize(
    "words",
    [
        ["show", NO_TEXT],
        ["add", NO_TEXT, "--every", "5m", "--", "true"],
        ["add", "x", "--every", "5m", "--description", NO_TEXT, "--", "true"],
        ["add", "x", "--every", "5m", "--", "true", NO_TEXT],
        ["history", "--task", NO_TEXT],
        ["logs", "--task", NO_TEXT],
        ["allow", f"/bin/{NO_TEXT}"],
        ["import", NO_TEXT],
        [NO_TEXT],
    ],
)
def test_a_word_that_is_no_text_is_one_line(cli: Cli, words: list[str]) -> None:
    assert "not UTF-8: 'caf\\udce9'" in cli.fails(*words).replace("/bin/", "")
    assert cli.names() == []


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")
def test_an_output_that_cannot_be_written_is_one_line(program: Program) -> None:
    program("init")
    Path(program.environment["JARVIS_DATA_DIR"], "jarvis-daemon.log").write_text("a line\n")
    commands = ["list", "list --json", "status", "show webhook_poll", "forecast --days 2", "timeline", "export"]
    commands += ["logs", "logs --json"]
    said = "jarvis-trio: cannot write the output: No space left on device; make room, or print it elsewhere\n"
    with open("/dev/full", "w") as full:
        for command in [*commands, "--help", "completion zsh", "doctor", "explain webhook_poll", "history"]:
            done = program.into(full, *command.split())
            assert (done.code, done.err) == (1, said), command

        words = [sys.executable, "-m", "jarvis_trio", "list"]  # in an interpreter that has an end of its own
        alone = subprocess.run(words, env=program.environment, stdout=full, stderr=subprocess.PIPE, text=True)
        assert (alone.returncode, alone.stderr) == (1, said)


def test_a_name_typed_in_another_form_of_unicode_is_the_same_name(cli: Cli) -> None:
    composed, apart = "caf\u00e9", "cafe\u0301"
    cli.ok("add", apart, "--every", "5m", "--handler", "alert_eval")
    assert cli.names() == [composed]
    assert cli.json("show", apart)["name"] == composed
    cli.ok("pause", apart)
    assert "exists" in cli.fails("add", apart, "--every", "5m", "--handler", "alert_eval")
    cli.change(composed, name=apart)  # as another program on a Mac may have written it
    cli.ok("resume", composed)
    cli.ok("run-now", composed)
    assert len(cli.json("history", composed)) == 1
