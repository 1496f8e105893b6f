"""docs/migration.md, walked as it is written: from the program's installation to the way back.

The assistant is one of its shape, with its own file, venv and handlers. git, make and launchctl are
stand-ins on PATH; all else is real.
"""

from __future__ import annotations

import json
import plistlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from jarvis_trio.service.launchd.plist import LABEL, OLD_LABELS
from tests.support import fake_launchctl
from tests.support.assistant_app import make_application
from tests.support.cli_world import eventually, execute
from tests.support.launchd_world import BYSTANDERS, GUI

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

PROJECT = Path(__file__).parents[2]
GUIDE = (PROJECT / "docs/migration.md").read_text()
EXPORTS = re.findall("^export .*$", GUIDE, re.M)
SCRIPTS = dict(zip(OLD_LABELS, ("run_scheduler.py", "run_alerts.py", "run_inbox_monitor.py"), strict=True))
THEIR_TYPES = ("webhook_dispatch", "skill_analysis", "proactive_push", "skill_auto_exec", "morning_brief")
MAKE = """#!/bin/sh
# Stands for `make install`: the program itself is this project's.
mkdir -p .venv/bin
cat > .venv/bin/jarvis-trio <<'END'
#!/bin/sh
exec {python} -m jarvis_trio "$@"
END
chmod +x .venv/bin/jarvis-trio
"""
SQLITE = """#!/bin/sh
# Stands for `sqlite3 FILE ".backup 'COPY'"`; a path with a space cannot stand behind #!.
exec {python} - "$@" <<'END'
import shlex, sqlite3, sys
with sqlite3.connect(sys.argv[1]) as source, sqlite3.connect(shlex.split(sys.argv[2])[1]) as copy:
    source.backup(copy)
END
"""


class Home:
    """A user's home folder on a Mac with the assistant in it, and a shell that follows the guide."""

    def __init__(self, home: Path) -> None:
        self.path = home
        self.assistant = make_application(home / "chief_of_staff")
        self.database = self.assistant / "data/memory.db"
        self.state = home.parent / "launchd.json"
        self.agents = home / "Library/LaunchAgents"
        self._add_agents()
        self._add_programs(home.parent / "bin")
        self.environment = {
            "HOME": str(home),
            "PATH": f"{home.parent}/bin:/usr/bin:/bin",
            "PYTHONPATH": str(PROJECT),
            "FAKE_LAUNCHCTL_STATE": str(self.state),
            # The program is this project's, whose own data folder is not for a test.
            "JARVIS_DATA_DIR": str(home / "jarvis-trio/data"),
            "TZ": "UTC",
        }

    def _add_agents(self) -> None:
        scripts = {**SCRIPTS, LABEL: "jarvis_daemon.py", **dict.fromkeys(BYSTANDERS, "other.py")}
        (self.assistant / "scripts").mkdir()
        self.agents.mkdir(parents=True)
        services = {}
        for label, name in scripts.items():
            script, plist = self.assistant / "scripts" / name, self.agents / f"{label}.plist"
            script.touch()
            words = [sys.executable, str(script)]
            plist.write_bytes(plistlib.dumps({"Label": label, "ProgramArguments": words, "StartInterval": 300}))
            services[f"{GUI}/{label}"] = {"path": str(plist), "state": "not running", "pid": None, "left": 0}
        self.state.write_text(json.dumps({"services": services, "going_prints": 0, "starting_prints": 0}))

    def _add_programs(self, folder: Path) -> None:
        fake_launchctl.install(folder)
        python = shlex.quote(sys.executable)
        programs = {
            "make": MAKE.format(python=python),
            "git": '#!/bin/sh\nmkdir "$3"\n',
            "sqlite3": SQLITE.format(python=python),
        }
        for name, text in programs.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def follow(self, text: str) -> str:
        """Type all shell blocks of a part of the guide into one shell; returns what was printed."""
        script = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.S)).replace("YOUR-COPY-OF-THE-REPOSITORY", "copy")
        done = subprocess.run(
            ["bash", "-e", "-c", _tolerant(script)],
            env=self.environment,
            cwd=self.path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done
        return done.stdout + done.stderr

    def snapshot(self) -> dict[str, Any]:
        """The old agents: their plists, and where each is loaded from."""
        services = json.loads(self.state.read_text())["services"]
        plists = {path.name: path.read_bytes() for path in self.agents.iterdir()}
        return {"plists": plists, "loaded": {target: service["path"] for target, service in services.items()}}

    def agent(self) -> dict[str, Any]:
        """The property list that the guide installed."""
        found: dict[str, Any] = plistlib.loads((self.agents / f"{LABEL}.plist").read_bytes())
        return found


def _tolerant(script: str) -> str:
    """The script, in which `doctor` may end with 1: it finds a problem, since no daemon runs yet."""
    lines = script.replace("\\\n", " ").splitlines()
    return "\n".join(f"{line} || [ $? = 1 ]" if line.startswith("jarvis-trio doctor") else line for line in lines)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_the_guide_leads_from_three_agents_to_one_and_back(home: Home) -> None:
    forth, back = GUIDE.split("## The way back")
    before, enabled = home.snapshot(), _enabled(home)

    said = home.follow(forth)
    assert "it gets knowledge_lint, morning_brief" in said
    assert f"{LABEL} runs in {GUI}. Its log: ~/jarvis-trio/data/jarvis-daemon.log\n" in said
    assert "jarvis-trio add imessage_commands --every 5m" in said
    assert set(home.snapshot()["loaded"]) == {f"{GUI}/{label}" for label in (LABEL, *BYSTANDERS)}

    # What was skipped by choice while the tasks were held has its row: a daily slot of today would not run again.
    execute(home.database, "DELETE FROM task_runs WHERE status IN ('missed', 'skipped')")
    execute(home.database, "UPDATE scheduled_tasks SET next_run_at = '2026-11-01T00:00:00' WHERE enabled = 1")
    with _as_launchd_runs_it(home) as log:
        eventually(lambda: set(THEIR_TYPES) <= _executed(home))
        assert "handlers of" in log.read_text()

    home.follow("```sh\n{}\n```{}".format("\n".join(EXPORTS), back.partition("To stop the daemon")[0]))
    assert home.snapshot() == before
    assert _enabled(home) == enabled
    assert _their_own_engine_runs(home) == "ok"


@contextmanager
def _as_launchd_runs_it(home: Home) -> Iterator[Path]:
    """Within the block the daemon runs, with what its property list says and nothing else; yields its log."""
    agent = home.agent()
    environment = {"HOME": str(home.path), "PYTHONPATH": str(PROJECT), "TZ": "UTC", **agent["EnvironmentVariables"]}
    daemon = subprocess.Popen(
        agent["ProgramArguments"],
        env=environment,
        cwd=agent["WorkingDirectory"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield home.path / "jarvis-trio/data/jarvis-daemon.log"
    finally:
        daemon.terminate()
        assert daemon.wait(180) == 0


def _enabled(home: Home) -> list[tuple[Any, ...]]:
    names = "'alert_eval', 'webhook_poll'"
    return execute(home.database, f"SELECT id, name, enabled FROM scheduled_tasks WHERE name NOT IN ({names})")


def _executed(home: Home) -> set[str]:
    query = "SELECT t.handler_type FROM task_runs r JOIN scheduled_tasks t ON t.id = r.task_id"
    return {kind for (kind,) in execute(home.database, f"{query} WHERE r.status = 'executed'")}


def _their_own_engine_runs(home: Home) -> str:
    """The assistant's own engine on its file, after the way back."""
    execute(home.database, "UPDATE scheduled_tasks SET next_run_at = NULL WHERE handler_type <> 'webhook_dispatch'")
    execute(home.database, "UPDATE scheduled_tasks SET next_run_at = '2026-11-01T00:00:00' WHERE next_run_at <> ''")
    script = (
        "import config; from memory.store import MemoryStore; from scheduler.engine import SchedulerEngine\n"
        "print(*(it['status'] for it in SchedulerEngine(MemoryStore(config.MEMORY_DB_PATH)).evaluate_due_tasks()))"
    )
    python = home.assistant / ".venv/bin/python"
    done = subprocess.run([python, "-c", script], cwd=home.assistant, capture_output=True, text=True, timeout=180)
    return done.stdout.strip()
