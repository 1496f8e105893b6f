"""docs/upgrading.md, walked as it is written: an installation of 1.0.0 becomes this version, and goes back.

git, make, the venv, the database and the daemons are real. launchctl is a stand-in that starts the
real daemon, and pip one that asks nobody: this interpreter's packages serve both versions.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support import fake_launchctl
from tests.support.cli_world import eventually
from tests.support.launchd_world import GUI, OURS

CHECKOUT = Path(__file__).parents[2]
GUIDE = (CHECKOUT / "docs/upgrading.md").read_text()
FIRST = "ac5f11a800dd9a47c692bcf69ada73bf2f9b74bb"
"""The commit of version 1.0.0."""


def _lacks() -> str:
    """Why this cannot be tried here, or nothing."""
    if missing := [name for name in ("git", "make", "bash", "ps") if shutil.which(name) is None]:
        return f"needs {', '.join(missing)}"
    has_commit = subprocess.run(["git", "cat-file", "-e", f"{FIRST}^{{commit}}"], cwd=CHECKOUT, capture_output=True)
    return "" if has_commit.returncode == 0 else "needs the repository, with the commit of 1.0.0"


pytestmark = [
    pytest.mark.slow,
    pytest.mark.thorough,
    pytest.mark.skipif(bool(_lacks()), reason=_lacks()),
]

HANDLERS = """
def count_words(task, context):
    return {"status": "ok", "words": len((task.handler_config or "").split())}
"""
PIP = """
# Stands for pip: nothing is fetched, and the checkout is found as an editable install has it.
import pathlib, sys
if "--editable" in sys.argv:
    pathlib.Path(__file__).with_name("checkout.pth").write_text(f"{pathlib.Path.cwd()}\\n")
"""
PROGRAM = """#!/bin/sh
exec {python} -m jarvis_trio "$@"
"""
SQLITE = """#!/bin/sh
# Stands for `sqlite3 FILE < SCRIPT`, which not every machine has.
exec {python} -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.stdin.read())' "$1"
"""
NOTE = """#!/bin/sh
echo "$JARVIS_TASK $JARVIS_SCHEDULED_FOR" >> {ran}
"""
SLOW = """#!/bin/sh
echo "began $JARVIS_SCHEDULED_FOR" >> {ran}.slow
sleep 2
echo "ended $JARVIS_SCHEDULED_FOR" >> {ran}.slow
"""
IN_1_0_0 = "task_name, scheduled_for, attempt, started_at, finished_at, status, reason, result, trigger, collapsed"


class Installation:
    """A home folder with version 1.0.0 in a checkout, under launchd, and a shell for its owner."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.checkout, self.data = self.home / "jarvis-trio", self.home / "jarvis-trio/data"
        self.database, self.ran = self.data / "memory.db", self.home / "ran"
        self.state = folder / "launchd.json"
        self.origin = folder / "origin.git"
        bin_ = folder / "bin"
        self.environment = {
            "HOME": str(self.home),
            "PATH": f"{bin_}:{Path(str(shutil.which('git'))).parent}:/usr/bin:/bin",
            "FAKE_LAUNCHCTL_STATE": str(self.state),
            "MAKEFLAGS": "e",  # the next line counts for make
            "PIP": "-m pip",
            "JARVIS_HISTORY_DAYS": "30",
        }
        self.home.mkdir()
        fake_launchctl.install(bin_)
        self.state.write_text(json.dumps({"spawns": True, "going_prints": 0, "starting_prints": 0}))
        _write_program(bin_ / "sqlite3", SQLITE.format(python=shlex.quote(sys.executable)))
        self._clone()
        self._make_venv()

    def _clone(self) -> None:
        # The checkout may be another user's, as in a container.
        (self.home / ".gitconfig").write_text("[safe]\n\tdirectory = *\n")
        self.sh(f"git init --quiet --bare {_quoted(self.origin)}")
        at_origin = f"git -C {_quoted(self.origin)}"
        self.sh(f"{at_origin} fetch --quiet {_quoted(CHECKOUT)} HEAD:refs/heads/new")
        self.sh(f"{at_origin} update-ref refs/heads/main {FIRST}")
        self.sh(f"{at_origin} symbolic-ref HEAD refs/heads/main")
        self.sh(f"git clone --quiet {_quoted(self.origin)} {_quoted(self.checkout)}")

    def publish(self) -> None:
        """Let `git pull` find this version."""
        self.sh(f"git -C {_quoted(self.origin)} update-ref refs/heads/main refs/heads/new")

    def _make_venv(self) -> None:
        """What `make run` and `pip install ./my-handlers` leave."""
        venv = self.checkout / ".venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        site = next(venv.glob("lib/python*/site-packages"))
        (site / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
        (site / "pip.py").write_text(PIP)
        (site / "my_handlers.py").write_text(HANDLERS)
        metadata = site / "my_handlers-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-handlers\nVersion: 1.0\n")
        entry = "[jarvis_trio.handlers]\ncount_words = my_handlers:count_words\n"
        (metadata / "entry_points.txt").write_text(entry)
        _write_program(venv / "bin/jarvis-trio", PROGRAM.format(python=_quoted(venv / "bin/python")))

    def sh(self, script: str, *, code: int = 0) -> str:
        """Type `script` in the checkout; returns what was printed."""
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            env=self.environment,
            cwd=self.checkout if self.checkout.exists() else self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == code, done
        return done.stdout + done.stderr

    def jarvis(self, words: str, *, code: int = 0) -> str:
        return self.sh(f".venv/bin/python -m jarvis_trio {words}", code=code)

    def json(self, words: str) -> Any:
        return json.loads(self.jarvis(f"{words} --json 2>/dev/null"))

    def stop_agent(self) -> None:
        """As the guide says to stop 1.0.0, and wait as launchctl does not."""
        self.sh(f"launchctl bootout {OURS}")
        eventually(lambda: not self._is_loaded())

    def start_agent(self) -> None:
        plist = self.home / "Library/LaunchAgents/com.chg.jarvis-daemon.plist"
        self.sh(f"launchctl bootstrap {GUI} {_quoted(plist)}")
        eventually(lambda: self._is_loaded() and self.daemon() is not None)

    def _is_loaded(self) -> bool:
        return not self.sh(f"launchctl print {OURS} >/dev/null 2>&1 || echo gone")

    def daemon(self) -> psutil.Process | None:
        """The daemon that runs, as `status` names it."""
        seen = self.json("status")
        return psutil.Process(seen["pid"]) if seen["running"] else None

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.database, timeout=30)) as connection:
            return connection.execute(query).fetchall()

    def ended_runs(self) -> set[tuple[Any, ...]]:
        """The rows of the history that change no more, as 1.0.0 knows them."""
        return set(self.rows(f"SELECT id, {IN_1_0_0} FROM task_runs WHERE finished_at IS NOT NULL"))

    def wait_for_runs(self, task: str, count: int) -> None:
        """Until a task has run `count` times from now on."""
        query = f"SELECT count(*) FROM task_runs WHERE task_name = '{task}' AND status = 'executed'"
        wanted = self.rows(query)[0][0] + count
        eventually(lambda: self.rows(query)[0][0] >= wanted)

    def kill(self) -> None:
        services = json.loads(self.state.read_text()).get("services", {})
        for pid in [service["pid"] for service in services.values() if service["pid"]]:
            try:
                psutil.Process(pid).kill()
            except psutil.NoSuchProcess:
                continue


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def blocks(heading: str) -> list[str]:
    """The shell blocks of one part of the guide."""
    part = GUIDE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", part, re.S)


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Installation]:
    """Version 1.0.0 at work for some seconds, with tasks of every kind; all by its own commands."""
    installation = Installation(tmp_path)
    try:
        _set_up(installation)
        yield installation
    finally:
        installation.kill()


def _set_up(old: Installation) -> None:
    old.jarvis("init")
    for name in ("note", "other"):
        _write_program(old.home / name, NOTE.format(ran=_quoted(old.ran)))
        old.jarvis(f"allow {_quoted(old.home / name)}")
    note, other = (
        f"--handler custom --config {shlex.quote(json.dumps({'command': [str(old.home / name)]}))}"
        for name in ("note", "other")
    )
    old.jarvis(f"add often --every 1s {note}")
    old.jarvis(f"add nightly --cron '30 2 * * SUN' --timezone America/Denver --retries 2 --grace 1h {note}")
    old.jarvis(f"add party --at 2099-12-24T18:00 {note}")
    old.jarvis(f"add changed --every 1d {other}")
    old.jarvis('add words --every 2s --handler count_words --config \'{"a": "b c"}\'')
    old.jarvis(f"add paused --every 1s {note}")
    old.jarvis("pause paused")
    _add_what_waits(old)
    old.jarvis("launchd install")
    eventually(lambda: old.daemon() is not None)
    old.jarvis(f"add gone --every 1s {note}")
    old.wait_for_runs("gone", 1)
    old.jarvis("remove gone --yes")
    old.wait_for_runs("words", 1)
    old.wait_for_runs("often", 2)


def _add_what_waits(old: Installation) -> None:
    """A command that runs when the upgrade comes, one that is to be tried again, and a message for a server that is
    down.
    """
    _write_program(old.home / "slow", SLOW.format(ran=_quoted(old.ran)))
    old.jarvis(f"allow {_quoted(old.home / 'slow')}")
    old.jarvis("allow /bin/false")
    slow = shlex.quote(json.dumps({"command": [str(old.home / "slow")]}))
    old.jarvis(f"add slow --every 1s --handler custom --config {slow}")
    failing = '--handler custom --config \'{"command": ["/bin/false"]}\''
    old.jarvis(f"add failing --at 'in 1s' --retries 1 --retry-delay 1h {failing}")
    (old.data / "delivery-secrets.env").write_text(
        "JARVIS_SMTP_URL=smtp://127.0.0.1:9\nJARVIS_MAIL_FROM=ada@example.org\n"
    )
    (old.data / "delivery-secrets.env").chmod(0o600)
    mail = '--deliver email --deliver-config \'{"to": "ada@example.org"}\''
    old.jarvis(f"add mailed --at 'in 1s' --handler alert_eval {mail}")


def waiting(old: Installation) -> list[tuple[Any, ...]]:
    """The retries and the messages that wait."""
    retries = "SELECT 'retry', task_id, attempt, scheduled_for FROM task_queue WHERE attempt > 1"
    return old.rows(f"{retries} UNION ALL SELECT 'message', id, run_id, channel FROM outbox ORDER BY 1, 2")


def assert_no_command_was_cut_off(old: Installation) -> None:
    eventually(lambda: len(old.rows("SELECT 1 FROM task_runs WHERE task_name = 'slow' AND finished_at <> ''")) > 1)
    assert old.rows("SELECT reason FROM task_runs WHERE task_name = 'slow' AND status = 'interrupted'") == []
    began, *_ = words = [line.split() for line in Path(f"{old.ran}.slow").read_text().splitlines()]
    assert began[0] == "began"
    assert [it for it, _ in words] == (["began", "ended"] * len(words))[: len(words)]


def upgrade(old: Installation) -> None:
    """Follow the guide up, while a command runs."""
    old.publish()
    eventually(lambda: old.rows("SELECT 1 FROM task_runs WHERE task_name = 'slow' AND status = 'running'"))
    old.stop_agent()
    for block in blocks("Upgrade"):
        old.sh(block)
    eventually(lambda: old.daemon() is not None)
    old.wait_for_runs("often", 3)
    old.wait_for_runs("words", 1)


def assert_every_slot_of_often_ran_once(old: Installation) -> None:
    """Each slot is a run's own, or one that a late run stands for; and its command ran once."""
    query = "SELECT scheduled_for, collapsed FROM task_runs WHERE task_name = 'often' AND attempt = 1 ORDER BY 1"
    slots = [(datetime.fromisoformat(slot), collapsed) for slot, collapsed in old.rows(query)]
    for (before, _), (slot, collapsed) in itertools.pairwise(slots):
        assert slot - before == timedelta(seconds=1 + collapsed), (before, slot, collapsed)
    lines = [line for line in old.ran.read_text().splitlines() if line.startswith("often ")]
    assert len(lines) == len(set(lines))


def problems(old: Installation) -> list[str]:
    return [
        it["says"]
        for it in json.loads(old.jarvis("doctor --json 2>/dev/null || true"))["findings"]
        if it["level"] == "problem" and not it["says"].startswith("failing: ")
    ]


@pytest.mark.law(8)
def test_an_installation_of_1_0_0_becomes_this_version(old: Installation) -> None:
    assert "1.0.0" in old.jarvis("--version")
    before, tasks = old.ended_runs(), old.rows("SELECT name, enabled, schedule_config, policy FROM scheduled_tasks")
    approved = (old.data / "approved-commands.json").read_bytes()
    eventually(lambda: [it[0] for it in waiting(old)] == ["message", "retry"])
    waits = waiting(old)

    upgrade(old)

    assert "1.0.0" not in old.sh(".venv/bin/jarvis-trio --version")
    assert old.ended_runs() >= before
    assert old.rows("SELECT name, enabled, schedule_config, policy FROM scheduled_tasks") == tasks
    assert_every_slot_of_often_ran_once(old)
    assert_no_command_was_cut_off(old)
    assert waiting(old) == waits
    assert problems(old) == []
    # The daemon is one of this version, with the settings that the service had.
    daemon = old.daemon()
    assert daemon is not None
    assert daemon.environ()["JARVIS_HISTORY_DAYS"] == "30"
    # Approvals are the same, and as narrow: each for the content that the executable had.
    assert (old.data / "approved-commands.json").read_bytes() == approved
    assert all(entry["pinned"] for entry in old.json("allow --list"))
    with (old.home / "other").open("a") as program:
        program.write("true\n")
    assert "was replaced since it was approved" in old.jarvis("run-now changed", code=1)


@pytest.mark.law(8)
def test_it_goes_back_to_1_0_0_with_the_runs_made_since(old: Installation) -> None:
    upgrade(old)
    old.jarvis("allow --task often")
    old.sh(blocks("The way back")[0])
    before, waits = old.ended_runs(), waiting(old)
    assert [it[0] for it in waits] == ["message", "retry"]
    assert "1.0.0" in old.jarvis("--version")

    old.start_agent()
    old.wait_for_runs("often", 2)
    old.wait_for_runs("words", 1)

    assert old.ended_runs() >= before
    assert_every_slot_of_often_ran_once(old)
    assert problems(old) == []
    assert waiting(old) == waits
    assert {row["name"] for row in old.json("list")} >= {"often", "nightly", "party", "paused", "words"}

    # And up again.
    old.sh("git checkout --quiet main")
    upgrade(old)
    assert old.ended_runs() >= before
    assert_every_slot_of_often_ran_once(old)
    assert_no_command_was_cut_off(old)
    assert waiting(old) == waits


@pytest.mark.law(8)
def test_the_copy_from_before_the_upgrade_is_the_other_way_back(old: Installation) -> None:
    before = old.ended_runs()
    upgrade(old)
    stop, _, *back = blocks("The way back")[0].splitlines()
    old.sh("\n".join([stop, *blocks("The way back")[1].splitlines(), *back]))

    old.start_agent()
    old.wait_for_runs("often", 2)

    assert old.ended_runs() >= before
    assert problems(old) == []
