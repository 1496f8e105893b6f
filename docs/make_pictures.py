"""Draws `docs/pictures/`, from real runs: `make pictures`.

A daemon lives through a day here, in two minutes: the engine, the store, the commands that
it starts and the answers that it gives are the real ones, and only trio's clock goes
faster. Over lunch the laptop's lid is closed, and in the afternoon a server breaks down.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import re
import tempfile
from contextlib import redirect_stdout
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import trio
import trio.testing

from docs.terminal_svg import terminal_svg
from jarvis_trio.cli import main
from jarvis_trio.cli.watch.app import WatchApp
from jarvis_trio.daemon import JarvisDaemon
from jarvis_trio.engine.assembly import make_engine
from jarvis_trio.foreground.session import CommandSession
from jarvis_trio.foreground.telling import NOTES
from jarvis_trio.process.lock import DaemonLock
from jarvis_trio.settings import read_settings
from jarvis_trio.store import MemoryStore
from jarvis_trio.testing.machine import SimulatedClock

ZONE = ZoneInfo("America/Denver")
START = datetime(2026, 6, 1, 17, 55, tzinfo=ZONE)
LUNCH = timedelta(hours=18, minutes=20)
LID_CLOSED = timedelta(minutes=75)
DAY = timedelta(hours=24, minutes=8)
RATE = 720
"""Seconds of the day in a real second."""

BROKEN = 'case $JARVIS_SCHEDULED_FOR in *T22:* | *T23:*) echo "prices.example.org: connection refused"; exit 7; esac; '
TASKS: dict[str, tuple[int, str, *tuple[str, ...]]] = {
    # how many minutes it takes, what it does then, and the options of `add`
    "backup": (48, 'echo "812 files, 3.1 GB"', "--cron", "30 2 * * *"),
    "index": (84, 'echo "48,310 documents"', "--every", "4h"),
    "mail": (3, 'echo "3 new messages"', "--every", "20m"),
    "prices": (4, BROKEN + 'echo "214 prices"', "--every", "1h", "--retries", "1", "--retry-delay", "10m"),
    "report": (12, 'echo "sent to 4 people"', "--cron", "0 9 * * MON-FRI"),
    "stand up": (1, "echo done", "--cron", "0 13 * * *", "--grace", "10m"),
    "thumbnails": (14, 'echo "36 pictures"', "--cron", "*/30 8-18 * * *"),
}
_FOREIGN = re.compile(r"@font-face {.*?}|<!--.*?-->", re.DOTALL)
"""Textual's pictures fetch a font from a server; the reader's own will do."""

SCREENS = {"status": 76, "list": 92, "history --limit 12": 108}
"""Commands, and how many columns their terminal has."""


class Day:
    """A day of a daemon, with its data in `folder`, at `rate` seconds of it in a real second."""

    def __init__(self, folder: Path, rate: float) -> None:
        self._rate = rate
        self._mock = trio.testing.MockClock()
        self._clock = SimulatedClock(self._mock, START, ZONE)
        os.environ |= {"JARVIS_DATA_DIR": str(folder), "TZ": str(ZONE), "TERM": "xterm-256color", "FORCE_COLOR": "1"}
        self._call("init")
        self._call("edit", "webhook_poll", "--every", "30m")  # every 5 minutes would be a lane without gaps
        self._call("allow", "/bin/sh")
        for name, (minutes, script, *options) in TASKS.items():
            command = ("/bin/sh", "-c", f"sleep {minutes * 60 / rate:.3f}; {script}")
            self._call("add", name, *options, "--", *command)

    def draw(self, pictures: Path) -> None:
        """Live through the day, and draw what the daemon says at its end."""
        trio.run(self._live, pictures, clock=self._mock)

    async def _live(self, pictures: Path) -> None:
        settings = read_settings(os.environ, Path())
        logging.getLogger().removeHandler(NOTES)  # as `run` does
        with (
            DaemonLock(settings.lock_file, self._clock.now()) as lock,
            MemoryStore(settings.memory_db_path, clock=self._clock) as store,
        ):
            engine = make_engine(settings, store, os.environ)
            daemon = JarvisDaemon(store, engine=engine, clock=self._clock, on_tick=lock.pulse)
            async with trio.open_nursery() as nursery:
                await nursery.start(daemon.run)
                await self._pass(LUNCH)
                self._clock.shift(LID_CLOSED)
                await self._pass(DAY - LUNCH - LID_CLOSED)
                await trio.to_thread.run_sync(self._look, pictures)
                daemon.shutdown()

    async def _pass(self, duration: timedelta) -> None:
        self._mock.rate = self._rate
        await trio.sleep(duration.total_seconds())
        self._mock.rate = 0

    def _look(self, pictures: Path) -> None:
        for command, columns in SCREENS.items():
            os.environ["COLUMNS"] = str(columns)
            name, *options = command.split()
            picture = terminal_svg(f"jarvis-trio {command}", self._call(name, *options))
            (pictures / f"{name}.svg").write_text(picture, encoding="utf-8")
        self._call("timeline", "--svg", str(pictures / "timeline.svg"))
        (pictures / "watch.svg").write_text(asyncio.run(self._watch()), encoding="utf-8")

    async def _watch(self) -> str:
        """The live screen with its timeline."""
        app = WatchApp(lambda: CommandSession(os.environ, self._clock), every=3_600)
        async with app.run_test(size=(100, 30)) as pilot:
            await app.workers.wait_for_complete()
            await pilot.press("t")
            await pilot.pause()
            return _FOREIGN.sub("", app.export_screenshot(title="jarvis-trio watch", simplify=True))

    def _call(self, *arguments: str) -> str:
        """What a command prints."""
        with redirect_stdout(io.StringIO()) as out:
            code = main(arguments, self._clock)
        assert code == 0, arguments
        return out.getvalue()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        Day(Path(folder), RATE).draw(Path(__file__).parent / "pictures")
