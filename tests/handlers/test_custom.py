"""The handler `custom`, with real processes."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jarvis_trio.errors import HandlerError, HandlerTimeoutError, NotApprovedError
from jarvis_trio.handlers.approvals import Approvals
from jarvis_trio.handlers.commands import command_of
from jarvis_trio.handlers.custom import Custom
from jarvis_trio.handlers.outputs import Outputs
from jarvis_trio.handlers.patience import PATIENCE, Patience
from jarvis_trio.handlers.processes import end_orphans
from jarvis_trio.process.identity import current_owner
from jarvis_trio.process.offspring import MARKER
from tests.support.handler_calls import NOON, a_context, a_task
from tests.support.processes import lives

PYTHON = shlex.quote(sys.executable)  # as a shell reads it
SHORT = timedelta(seconds=0.3)

# Writes its PID to the file $1 and lives for a minute, in a session of its own: setsid(1) is missing on macOS.
DETACHED = (
    f"{PYTHON} -c 'import os, sys, time; os.setsid();"
    """ print(os.getpid(), file=open(sys.argv[1], "w"), flush=True); time.sleep(60)' $1"""
)
CHILD = "sleep 60 & echo $! > $1; wait"
CHILD_IN_SESSION_OF_ITS_OWN = f"{DETACHED} & wait"
CHILD_OF_A_DEAD_PARENT = f"({DETACHED} &) ; sleep 60"
CHILD_WITHOUT_THE_MARKER = f"env -i {DETACHED} & wait"


class Command:
    """Runs commands in which the shell and `python` are approved.

    `python` is a script of its own, since the real one may be in a folder that all can write.
    """

    def __init__(self, folder: Path) -> None:
        self.approvals = Approvals(folder / "approved.json")
        self.patience = PATIENCE
        self.home = folder / "home"
        self.home.mkdir()
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.home)}
        self.python = write_script(folder / "python", f'#!/bin/sh\nexec {PYTHON} "$@"\n')
        for program in ("sh", self.python):
            self.approvals.allow(program)

    def __call__(
        self, command: object, *, timeout: timedelta = timedelta(seconds=60), environment: dict[str, str] | None = None
    ) -> dict[str, Any]:
        handler = Custom(self.approvals, None, self.environment | (environment or {}))
        return handler(a_task({"command": command}), a_context(timeout=timeout, attempt=2))

    def until_written(self, file: Path, script: str) -> None:
        """Run a script, whose $1 is the file, until something is in the file; then its time is over."""
        context = a_context()

        def cancel() -> None:
            while not (file.exists() and file.read_text().strip()):
                time.sleep(0.01)
            context.cancelled.set()

        threading.Thread(target=cancel, daemon=True).start()
        Custom(self.approvals, None, self.environment, self.patience)(
            a_task({"command": ["sh", "-c", script, "-", str(file)]}), context
        )

    def output(self, *command: str, **options: Any) -> str:
        result = self(list(command), **options)
        assert result["status"] == "ok", result
        assert isinstance(result["stdout"], str)
        return result["stdout"]


def write_script(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def run(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture
def pid_file(tmp_path: Path) -> Iterator[Path]:
    """Where a command writes the PID of what it leaves behind; it is killed if the test fails."""
    file = tmp_path / "pid"
    yield file
    if file.exists() and lives(int(file.read_text())):
        os.kill(int(file.read_text()), 9)


@pytest.mark.law(4)
def test_a_command_has_the_umask_that_the_daemon_was_started_with(run: Command) -> None:
    before = os.umask(0o027)
    try:
        handler = Custom(run.approvals, None, run.environment)
        os.umask(0o077)  # as a Python handler may
        assert handler(a_task({"command": ["sh", "-c", "umask"]}), a_context())["stdout"].strip() == "0027"
    finally:
        os.umask(before)


def test_a_command_gives_its_exit_code_and_both_outputs(run: Command) -> None:
    result = run("sh -c 'echo out; echo err >&2'")
    assert result == {"status": "ok", "exit_code": 0, "stdout": "out\n", "stderr": "err\n"}


def test_a_list_of_words_is_taken_as_it_is(run: Command) -> None:
    words = ["two words", "$HOME", "; echo evil", "*", ""]
    assert run.output(run.python, "-c", "import sys; print(sys.argv[1:])", *words) == f"{words}\n"


def test_no_shell_reads_the_command(run: Command) -> None:
    assert run.output(*f"{run.python} -c print('$HOME;`id`')".split()) == "$HOME;`id`\n"
    assert run(f"{run.python} -c 'print(1)' ; echo 2 | cat > /dev/null")["stdout"] == "1\n"


def test_an_exit_code_other_than_0_is_an_error_with_the_last_line(run: Command) -> None:
    result = run("sh -c 'echo out; echo first >&2; echo no disk >&2; exit 3'")
    assert (result["status"], result["exit_code"], result["error"]) == ("error", 3, "exit code 3: no disk")


def test_an_end_by_a_signal_is_an_error_that_names_it(run: Command) -> None:
    result = run("sh -c 'kill -KILL $$'")
    assert (result["status"], result["exit_code"], result["error"]) == ("error", -9, "ended by SIGKILL")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has real-time signals, which have no names")
def test_a_signal_without_a_name_is_told_by_its_number(run: Command) -> None:
    assert run("sh -c 'kill -40 $$'")["error"] == "ended by signal 40"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "handler_config"),
        ([], "handler_config"),
        ({}, 'names no command; write one, such as {"command": "date -u"}'),
        ({"command": ""}, "needs a command"),
        ({"command": []}, "needs a command"),
        ({"command": ["sh", 1]}, "needs a command"),
        ({"command": {"sh": 1}}, "needs a command"),
        ({"command": [""]}, "needs a program's name"),
        ({"command": ["sh", "a\0b"]}, "no NUL character"),
        ({"command": "sh 'open"}, "No closing quotation"),
        ({"command": ["sh", "\ud800"]}, "cannot be started"),
        ({"command": "sh", "env": ["A"]}, "env must be an object of texts"),
        ({"command": "sh", "env": {"A": 1}}, "env must be an object of texts"),
        ({"command": "sh", "env": {"A B": ""}}, "'A B' is not the name of a variable"),
        ({"command": "sh", "env": {"A": "\0"}}, "the variable A holds a NUL character"),
        ({"command": "sh", "env": {"JARVIS_RUN": "x"}}, "JARVIS_RUN is set by the program itself"),
        ({"command": "sh", "secrets": "A"}, "secrets must be a list of names"),
        ({"command": "sh", "secrets": ["A"], "env": {"A": "x"}}, "the variable A is in env and in secrets"),
        ({"command": "sh", "cwd": "here"}, "cwd must be the absolute path of a folder"),
        ({"command": "./sh"}, "is not on the daemon's PATH"),
        ({"command": "no-such-program\x1b[2J"}, r"no-such-program\\x1b\[2J is not on the daemon's PATH"),
    ],
    ids=str,
)
def test_a_command_that_cannot_be_understood_is_the_runs_error(run: Command, config: object, message: str) -> None:
    with pytest.raises(HandlerError, match=message) as caught:
        Custom(run.approvals, None, run.environment)(a_task(config), a_context())
    assert "\n" not in str(caught.value)


def test_a_command_that_nobody_approved_does_not_run(run: Command, tmp_path: Path) -> None:
    with pytest.raises(NotApprovedError, match="jarvis-trio allow"):
        run(["touch", str(tmp_path / "made")])
    assert not (tmp_path / "made").exists()


def test_a_command_that_was_replaced_does_not_run(run: Command, tmp_path: Path) -> None:
    script = write_script(tmp_path / "script", "#!/bin/sh\n")
    run.approvals.allow(script, pin=True)
    assert run([script])["exit_code"] == 0
    write_script(tmp_path / "script", f"#!/bin/sh\ntouch {tmp_path}/made\n")
    with pytest.raises(NotApprovedError, match="was replaced"):
        run([script])
    assert not (tmp_path / "made").exists()


def test_a_script_without_its_first_line_is_explained(run: Command, tmp_path: Path) -> None:
    script = write_script(tmp_path / "script", "echo hello\n")
    run.approvals.allow(script)
    with pytest.raises(HandlerError, match=r"begin the script with a line such as #!/bin/sh"):
        run([script])


def test_a_command_is_told_its_slot_and_gets_no_secret(run: Command) -> None:
    given = {"LC_TIME": "C", "TZ": "UTC", "SMTP_PASSWORD": "secret", "JARVIS_DATA_DIR": "/data", "PYTHONPATH": "/x"}
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    found = json.loads(run.output(run.python, "-c", code, environment=given))
    assert found.pop(MARKER).startswith(f"{current_owner()}/")
    # What shells, Python (PEP 538) and macOS add by themselves.
    for name in ("PWD", "SHLVL", "_", "LC_CTYPE", "__CF_USER_TEXT_ENCODING"):
        found.pop(name, None)
    assert found == {
        **run.environment,
        "LC_TIME": "C",
        "TZ": "UTC",
        "JARVIS_TASK": "nightly",
        "JARVIS_SCHEDULED_FOR": NOON.isoformat(),
        "JARVIS_ATTEMPT": "2",
    }


def configured(run: Command, folder: Path, **config: object) -> dict[str, Any]:
    """Run a task whose row has more than a command, with the secrets in that folder."""
    environment = run.environment | {"FROM_THE_DAEMON": "hunter33"}
    handler = Custom(run.approvals, None, environment, secrets_dir=folder)
    return handler(a_task(config), a_context())


def write_secrets(folder: Path, text: str) -> None:
    (folder / "secrets.env").write_text(text)
    (folder / "secrets.env").chmod(0o600)


def test_a_command_gets_its_variables_and_secrets(run: Command, tmp_path: Path) -> None:
    write_secrets(tmp_path, "API_KEY=hunter22\nOTHER=x\n")
    done = configured(
        run,
        tmp_path,
        command=["sh", "-c", 'echo "$LEVEL,${API_KEY#hunter},${FROM_THE_DAEMON#hunter},$OTHER"'],
        env={"LEVEL": "a b"},
        secrets=["API_KEY", "FROM_THE_DAEMON"],
    )
    assert done["stdout"] == "a b,22,33,\n"


def test_what_cannot_be_ended_is_named_and_holds_its_task(run: Command) -> None:
    run.patience = Patience(term=timedelta(0), kill=timedelta(0))  # as if no signal had any effect
    context = a_context(timeout=SHORT)
    handler = Custom(run.approvals, None, run.environment, run.patience)
    with pytest.raises(HandlerTimeoutError, match=r"could not be ended .*: PID (\d+); until they are gone") as caught:
        handler(a_task({"command": ["sh", "-c", "exec sleep 60"]}), context)
    pid = int(str(caught.value).partition("PID ")[2].partition(";")[0])
    (until_gone,) = context.lingering
    assert lives(pid)
    os.kill(pid, 9)
    until_gone()
    assert not lives(pid)


def test_a_secret_that_a_command_prints_is_not_in_the_result(run: Command, tmp_path: Path) -> None:
    write_secrets(tmp_path, "API_KEY=hunter22\n")
    script = 'echo "out $API_KEY"; echo "denied for $API_KEY" >&2; exit 1'
    done = configured(run, tmp_path, command=["sh", "-c", script], secrets=["API_KEY"])
    assert (done["stdout"], done["error"]) == ("out ***\n", "exit code 1: denied for ***")


@pytest.mark.law(9)
def test_law_9_a_row_that_preloads_a_library_does_not_run(run: Command, tmp_path: Path) -> None:
    with pytest.raises(NotApprovedError, match="sets LD_PRELOAD, which decides what code runs"):
        configured(run, tmp_path, command=["sh", "-c", "true"], env={"LD_PRELOAD": "/tmp/evil.so"})


def test_a_missing_secret_is_an_error_before_the_command_starts(run: Command, tmp_path: Path) -> None:
    write_secrets(tmp_path, "OTHER=hunter22\n")
    made = tmp_path / "made"
    with pytest.raises(
        HandlerError, match=r"needs the secret API_KEY, which is not set; set it in .*secrets\.env"
    ) as caught:
        configured(run, tmp_path, command=["sh", "-c", f"touch {made}"], secrets=["API_KEY", "OTHER"])
    assert "hunter22" not in str(caught.value)
    assert not made.exists()


def test_a_secrets_file_that_others_may_read_is_an_error_without_a_value(run: Command, tmp_path: Path) -> None:
    write_secrets(tmp_path, "API_KEY=hunter22\n")
    (tmp_path / "secrets.env").chmod(0o644)
    with pytest.raises(HandlerError, match=r"open to others .*chmod 600") as caught:
        configured(run, tmp_path, command=["sh", "-c", "true"], secrets=["API_KEY"])
    assert "hunter22" not in str(caught.value)


def test_a_command_runs_in_the_folder_of_its_row(run: Command, tmp_path: Path) -> None:
    task = a_task({"command": ["sh", "-c", "pwd"], "cwd": str(tmp_path)})
    run.approvals.allow_command(command_of(task), run.environment["PATH"])
    assert Custom(run.approvals, None, run.environment)(task, a_context())["stdout"] == f"{tmp_path}\n"


def test_all_output_is_kept_under_the_runs_number(run: Command, tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "runs")
    script = f"echo one; echo two >&2; {run.python} -c 'print(\"x\" * 100_000)'; exit 1"
    context = replace(a_context(), run_id=7)
    Custom(run.approvals, outputs, run.environment)(a_task({"command": ["sh", "-c", script]}), context)
    assert outputs.path(7).read_text() == "one\ntwo\n" + "x" * 100_000 + "\n"


def test_output_is_kept_at_the_time_limit_too(run: Command, tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "runs")
    context = replace(a_context(timeout=SHORT), run_id=7)
    with pytest.raises(HandlerTimeoutError, match="its last output: so far"):
        Custom(run.approvals, outputs, run.environment)(
            a_task({"command": ["sh", "-c", "echo so far; sleep 60"]}), context
        )
    assert outputs.path(7).read_text() == "so far\n"


def test_a_handler_that_changes_the_environment_changes_no_command(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = Custom(run.approvals)
    monkeypatch.setenv("PATH", "/nowhere")
    assert handler(a_task({"command": "sh -c true"}), a_context())["status"] == "ok"


def test_a_command_runs_in_the_home_folder_or_else_in_the_root(run: Command) -> None:
    assert run.output("sh", "-c", "pwd") == f"{run.home}\n"
    assert run.output("sh", "-c", "pwd", environment={"HOME": "/no/such/home"}) == "/\n"


def test_stdin_is_empty(run: Command) -> None:
    assert run.output(run.python, "-c", "import sys; print(repr(sys.stdin.read()))") == "''\n"


def test_a_command_has_a_session_of_its_own_and_no_descriptor_of_the_daemon(run: Command) -> None:
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    code = "import os, sys; print(os.getsid(0) == os.getpid(), os.path.exists('/dev/fd/' + sys.argv[1]))"
    try:
        assert run.output(run.python, "-c", code, str(write_end)) == "True False\n"
    finally:
        os.close(read_end)
        os.close(write_end)


def test_long_output_is_cut_in_the_middle(run: Command) -> None:
    text = run.output(run.python, "-c", "print('first', 'x' * 50_000_000, 'last')")
    assert text.startswith("first xxx")
    assert text.endswith("xxx last\n")
    assert f"[... {50_000_012 - 2 * 6144:,} bytes cut ...]" in text
    assert len(text) < 13_000


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("sys.stdout.write('\\0' * 20_000); sys.exit(3)", "exit code 3"),
        ("sys.stderr.write('\\u200b' * 20_000); print('why'); sys.exit(3)", "exit code 3: why"),
        ("sys.stderr.write('why' + '\\0' * 20_000); sys.exit(3)", "exit code 3: why"),
    ],
)
def test_where_an_output_was_cut_is_no_reason(run: Command, code: str, reason: str) -> None:
    error = run([str(run.python), "-c", f"import sys; {code}"])["error"]
    assert error.startswith(reason)
    assert "bytes cut" not in error


def test_output_that_just_fits_is_whole(run: Command) -> None:
    assert run.output(run.python, "-c", "print('x' * 12287)") == "x" * 12_287 + "\n"


def test_bytes_that_are_no_text_are_replaced(run: Command) -> None:
    assert run.output(run.python, "-c", r"import os; os.write(1, b'a\xff\xfeb')") == "a��b"


def test_a_command_that_closes_its_outputs_is_waited_for(run: Command) -> None:
    assert run("sh -c 'exec >&- 2>&-; sleep 0.3; exit 7'")["exit_code"] == 7


@pytest.mark.law(4)
@pytest.mark.parametrize(
    "left",
    [
        "sleep 60 & echo $! > $1",
        "env -i sleep 60 & echo $! > $1",
        f"{DETACHED} & while [ ! -s $1 ]; do sleep 0.01; done",
    ],
    ids=["child", "environment empty", "own session"],
)
def test_law_4_what_a_command_leaves_behind_is_ended_with_it(run: Command, pid_file: Path, left: str) -> None:
    result = run(["sh", "-c", left, "-", str(pid_file)])
    assert (result["status"], result["left_behind"]) == ("ok", 1)
    assert not lives(int(pid_file.read_text()))


@pytest.mark.law(4)
@pytest.mark.parametrize(
    "script",
    [CHILD, CHILD_IN_SESSION_OF_ITS_OWN, CHILD_OF_A_DEAD_PARENT, CHILD_WITHOUT_THE_MARKER],
    ids=["child", "own session", "parent dead", "environment empty"],
)
def test_law_4_at_its_time_limit_a_command_is_gone_with_all_its_descendants(
    run: Command, pid_file: Path, script: str
) -> None:
    with pytest.raises(HandlerTimeoutError, match=r"ended as it was told to stop \(processes ended: [2-9]\)"):
        run.until_written(pid_file, script)
    assert not lives(int(pid_file.read_text()))


@pytest.mark.law(4)
@pytest.mark.slow
def test_law_4_what_ignores_sigterm_is_killed_five_seconds_later(run: Command, pid_file: Path) -> None:
    assert timedelta(seconds=5) == PATIENCE.term  # in a tenth of the time, here
    run.patience = Patience(term=PATIENCE.term / 10)
    started = time.monotonic()
    with pytest.raises(HandlerTimeoutError, match="its last output: stubborn"):
        run.until_written(pid_file, f"trap '' TERM; echo stubborn; ({CHILD})")
    assert time.monotonic() - started > 0.5
    assert not lives(int(pid_file.read_text()))


def test_a_script_does_not_go_on_to_its_next_step_at_its_time_limit(run: Command, tmp_path: Path) -> None:
    with pytest.raises(HandlerTimeoutError):
        run.until_written(tmp_path / "first", "echo x > $1; sleep 60; echo x > $1.next")
    assert not (tmp_path / "first.next").exists()


def test_a_command_may_clean_up_at_sigterm(run: Command, pid_file: Path) -> None:
    with pytest.raises(HandlerTimeoutError, match="its last output: tidied"):
        run.until_written(pid_file, f"trap 'echo tidied; exit' TERM; {CHILD}")


def test_a_command_that_takes_too_long_is_ended_at_its_limit(run: Command) -> None:
    started = time.monotonic()
    with pytest.raises(HandlerTimeoutError, match=r"^ended at its time limit of 0\.3s \(processes ended: 1\)$"):
        run("sh -c 'exec sleep 60'", timeout=SHORT)
    assert 0.3 <= time.monotonic() - started < 30


def test_a_command_that_writes_without_end_is_ended_at_its_limit(run: Command) -> None:
    with pytest.raises(HandlerTimeoutError):
        run([run.python, "-c", "while True: print('x' * 65536)"], timeout=SHORT)


def test_what_a_dead_process_left_of_its_commands_is_ended_and_nothing_else() -> None:
    boot = os.urandom(4).hex()  # else it ends the processes of another run of these tests
    dead, living = f"17:123@{boot}", f"17:1234@{boot}"
    commands = {
        owner: subprocess.Popen(["sleep", "60"], env={**os.environ, MARKER: f"{owner}/abc"}) for owner in (living, dead)
    }
    try:
        assert end_orphans(dead).ended == 1
        assert not lives(commands[dead].pid)
        assert lives(commands[living].pid)
        assert end_orphans(dead).ended == 0
    finally:
        for process in commands.values():
            process.kill()
            process.wait()
