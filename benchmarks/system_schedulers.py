"""What a system brings: Debian's cron, and a note of why it or a systemd timer was not measured."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.running import Process, environ
from benchmarks.stamps import Stamps

_EMPTIED = ("/etc/cron.d", "/var/spool/cron/crontabs")


class Cron:
    """Debian's cron, with a view of the file system of its own, so that it sees no crontab but ours.

    Ready when it has written its PID. Its unit is the minute.
    """

    name = "cron"
    offers = "in C; starts a process for each job at a minute; no history, a slot missed in a stop is lost"

    def start(self, folder: Path) -> tuple[Process, float]:
        """Start it with ten jobs of which none is due."""
        return self._run(folder, ["0 0 1 1 * root true"] * 10)

    def keep_time(
        self, folder: Path, instants: Sequence[float], busy: int
    ) -> tuple[Process, Callable[[], list[float]]]:
        """Start it with a slot at each minute, whatever the instants are."""
        stamps = Stamps(folder / "stamps", instants, period_seconds=60)
        process, _ = self._run(folder, ["* * * * * root " + stamps.command.replace("%", r"\%")])
        return process, lambda: stamps.late_ms(process)

    def _run(self, folder: Path, jobs: Sequence[str]) -> tuple[Process, float]:
        crontab = folder / "crontab"
        crontab.write_text("\n".join(jobs) + "\n")
        crontab.chmod(0o600)  # it reads no crontab that others may write
        (folder / "empty").mkdir()
        views = [f"mount --bind '{folder}/empty' {path}" for path in _EMPTIED]
        views += [f"mount --bind '{crontab}' /etc/crontab", "mount -t tmpfs none /run", "exec cron -f -L 0"]
        process = Process(["unshare", "--mount", "sh", "-ec", "; ".join(views)], environ())
        pid_file = Path("/proc", str(process.pid), "root", "run", "crond.pid")  # in its view of the file system
        return process, process.wait_until(pid_file.exists)


def cron() -> tuple[Cron, ...]:
    """Cron, if it can be run here: for that it takes Linux, Debian's package `cron`, and root."""
    return () if _why_no_cron() else (Cron(),)


def notes() -> Iterator[str]:
    """What was left out here, and why."""
    if reason := _why_no_cron():
        yield f"cron was left out: {reason}"
    booted = Path("/run/systemd/system").is_dir()  # as sd_booted(3) looks at it
    reason = "it would need units in the running system" if booted else "process 1 here is not systemd"
    yield f"A systemd timer was left out: {reason}; its accuracy is a minute unless it is set"


def _why_no_cron() -> str:
    """The reason why cron cannot be run here, or nothing."""
    missing = [tool for tool in ("cron", "unshare", "mount") if shutil.which(tool) is None]
    if missing:
        return f"{missing[0]} is not installed here"
    if os.geteuid() != 0:
        return "it takes root"
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return "unshare(1) is not allowed here" if tried.returncode else ""
