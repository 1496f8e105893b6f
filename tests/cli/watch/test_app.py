"""The live screen under a pilot: what is drawn, and what the keys do."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Label, Static

from jarvis_trio.cli.watch.app import DetailScreen, HelpScreen, WatchApp
from jarvis_trio.desk import acts
from jarvis_trio.foreground.session import CommandSession
from tests.support.cli_world import Cli, Program

Steps = Callable[[WatchApp, Pilot[None]], Awaitable[None]]


@pytest.fixture
def drive(cli: Cli) -> Callable[..., None]:
    """Lets a pilot drive the screen on the test's database; nothing is drawn again by time alone."""
    cli.ok("add", "poll", "--every", "5m", "--handler", "webhook_poll")
    cli.ok("add", "rules", "--every", "2h", "--handler", "alert_eval")

    async def driven(steps: Steps, size: tuple[int, int]) -> None:
        app = WatchApp(lambda: CommandSession(os.environ, cli.clock), every=3_600)
        async with app.run_test(size=size, notifications=True) as pilot:
            await app.workers.wait_for_complete()
            await pilot.pause()
            await steps(app, pilot)

    def run(steps: Steps, size: tuple[int, int] = (80, 24)) -> None:
        asyncio.run(driven(steps, size))

    return run


async def press(app: WatchApp, pilot: Pilot[None], *keys: str) -> None:
    await pilot.press(*keys)
    await pilot.pause()
    await app.workers.wait_for_complete()
    await pilot.pause()


def rows(app: WatchApp) -> list[list[str]]:
    table: DataTable[Any] = app.query_one("#tasks", DataTable)
    return [[str(cell) for cell in table.get_row_at(number)] for number in range(table.row_count)]


def toasts(app: WatchApp) -> str:
    """What is told at the corner of the screen."""
    return " ".join(str(toast.render()) for toast in app.screen.query("Toast"))


def shown(app: WatchApp, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).render())


@pytest.mark.parametrize(
    "size",
    [(80, 24), *(pytest.param(size, marks=[pytest.mark.slow, pytest.mark.thorough]) for size in [(200, 60), (40, 10)])],
)
def test_the_tasks_are_there_at_every_size(drive: Callable[..., None], size: tuple[int, int]) -> None:
    async def steps(app: WatchApp, _: Pilot[None]) -> None:
        assert [row[0] for row in rows(app)] == ["poll", "rules"]
        assert rows(app)[0][1] == "in 5m00s"
        assert "no daemon runs" in str(app.query_one("#status", Label).render())

    drive(steps, size)


def test_a_full_disk_is_told(drive: Callable[..., None], cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    free = shutil.disk_usage(cli.data)
    monkeypatch.setattr("shutil.disk_usage", lambda _: free._replace(free=0))

    async def steps(app: WatchApp, _: Pilot[None]) -> None:
        assert "disk full" in str(app.query_one("#status", Label).render())

    drive(steps)


def test_what_changes_is_drawn_and_the_cursor_stays_on_its_task(drive: Callable[..., None], cli: Cli) -> None:
    async def steps(app: WatchApp, pilot: Pilot[None]) -> None:
        await press(app, pilot, "down")
        assert app.chosen == "rules"
        cli.ok("add", "another", "--every", "1h", "--handler", "webhook_poll")
        app.look()
        await press(app, pilot)

        assert [row[0] for row in rows(app)] == ["another", "poll", "rules"]
        assert app.chosen == "rules"

    drive(steps)


def test_p_pauses_and_resumes(drive: Callable[..., None], cli: Cli) -> None:
    async def steps(app: WatchApp, pilot: Pilot[None]) -> None:
        await press(app, pilot, "p")
        assert cli.task("poll").enabled is False
        assert rows(app)[0][1] == "paused"

        await press(app, pilot, "p")
        assert cli.task("poll").enabled is True

    drive(steps)


def test_enter_shows_a_task_whole(drive: Callable[..., None]) -> None:
    async def steps(app: WatchApp, pilot: Pilot[None]) -> None:
        await press(app, pilot, "enter")
        assert isinstance(app.screen, DetailScreen)
        assert "every 5m" in shown(app, "#detail")

        await press(app, pilot, "escape")
        assert not isinstance(app.screen, DetailScreen)

    drive(steps)


def test_a_task_that_ran_is_shown_with_its_runs_and_what_the_last_one_wrote(
    drive: Callable[..., None], cli: Cli
) -> None:
    cli.ok("add", "a command", "--every", "5m", "--", "echo", "hello from it")
    cli.ok("allow", "--task", "a command")
    assert cli("run-now", "a command").code == 0

    async def steps(app: WatchApp, pilot: Pilot[None]) -> None:
        await press(app, pilot, "enter")
        assert "Last runs" in shown(app, "#detail")
        assert "The end of what run 1 wrote\nhello from it" in shown(app, "#detail")

    drive(steps)


@pytest.mark.thorough
def test_a_task_that_is_removed_while_it_is_shown_is_told(drive: Callable[..., None], cli: Cli) -> None:
    async def steps(app: WatchApp, pilot: Pilot[None]) -> None:
        cli.ok("remove", "poll", "--yes")
        await press(app, pilot, "enter")
        assert "no task is named 'poll'" in shown(app, "#detail")

    drive(steps)


def test_what_does_not_run_next_says_so_in_place_of_a_time(drive: Callable[..., None], cli: Cli) -> None:
    cli.ok("add", "a broken one", "--every", "5m", "--handler", "alert_eval")
    cli.ok("add", "b over", "--at", "in 1m", "--handler", "alert_eval")
    cli.change("a broken one", schedule_config="{}")
    cli.clock.advance(minutes=2)
    cli.ok("tick")
    with CommandSession(os.environ, cli.clock) as session:
        acts.hold(session, ["poll"])

    async def steps(app: WatchApp, pilot: Pilot[None]) -> None:
        assert [row[1] for row in rows(app)[:3]] == ["set aside", "-", "held"]

    drive(steps)


@pytest.mark.thorough
def test_d_changes_between_dark_and_light(drive: Callable[..., None]) -> None:
    async def steps(app: WatchApp, pilot: Pilot[None]) -> None:
        dark = app.current_theme.dark
        app.action_dark()
        await pilot.pause()
        assert app.current_theme.dark is not dark
        app.action_dark()
        await pilot.pause()
        assert app.current_theme.dark is dark

    drive(steps)


@pytest.mark.thorough
def test_enter_leaves_the_filter_and_keeps_it(drive: Callable[..., None]) -> None:
    async def steps(app: WatchApp, pilot: Pilot[None]) -> None:
        await press(app, pilot, "slash", "r", "u", "l", "enter")
        assert [row[0] for row in rows(app)] == ["rules"]
        assert app.focused is app.query_one("#tasks")

    drive(steps)


@pytest.mark.thorough
def test_a_word_that_arrives_at_once_is_typed_into_the_filter_and_acts_on_nothing(drive: Callable[..., None]) -> None:
    async def steps(app: WatchApp, pilot: Pilot[None]) -> None:
        for letter in "/ru/p":
            app.post_message(events.Key("slash" if letter == "/" else letter, letter))
        await press(app, pilot)
        assert app.query_one("#filter", Input).value == "ru/p"

        await press(app, pilot, "escape")
        assert [row[:2] for row in rows(app)] == [["poll", "in 5m00s"], ["rules", "in 2h00m"]]

    drive(steps)


@pytest.mark.thorough
def test_a_task_shown_whole_offers_no_filter_and_no_timeline(drive: Callable[..., None]) -> None:
    async def steps(app: WatchApp, pilot: Pilot[None]) -> None:
        await press(app, pilot, "enter")
        assert isinstance(app.screen, DetailScreen)
        assert {"slash", "t"}.isdisjoint(app.active_bindings)

        await press(app, pilot, "slash", "t")
        await press(app, pilot, "escape")
        assert not app.query_one("#filter").display
        assert not app.query_one("#day").display

    drive(steps)


def test_the_filter_keeps_what_matches_and_escape_takes_it_away(drive: Callable[..., None]) -> None:
    async def steps(app: WatchApp, pilot: Pilot[None]) -> None:
        await press(app, pilot, "slash", "r", "u", "l")
        assert [row[0] for row in rows(app)] == ["rules"]

        await press(app, pilot, "escape")
        assert [row[0] for row in rows(app)] == ["poll", "rules"]

    drive(steps)


@pytest.mark.thorough
def test_t_shows_the_day(drive: Callable[..., None]) -> None:
    async def steps(app: WatchApp, pilot: Pilot[None]) -> None:
        assert not app.query_one("#day").display
        await press(app, pilot, "t")
        assert app.query_one("#day").display
        assert "now" in shown(app, "#day")

    drive(steps)


@pytest.mark.thorough
def test_the_help_names_every_mark(drive: Callable[..., None]) -> None:
    async def steps(app: WatchApp, pilot: Pilot[None]) -> None:
        await press(app, pilot, "question_mark")
        assert isinstance(app.screen, HelpScreen)
        for status in ("executed", "error", "timeout", "interrupted", "missed", "skipped", "running"):
            assert status in shown(app, "#help")

    drive(steps)


def test_a_database_that_goes_away_is_told_and_the_screen_stays(drive: Callable[..., None], cli: Cli) -> None:
    async def steps(app: WatchApp, pilot: Pilot[None]) -> None:
        cli.path.unlink()
        app.look()
        await press(app, pilot)
        assert "Memory DB not found" in str(app.query_one("#status", Label).render())

    drive(steps)


def test_a_hostile_name_is_shown_and_acts_on_nothing(drive: Callable[..., None], cli: Cli) -> None:
    cli.change("poll", name="[red]x[/]\x1b[2J")

    async def steps(app: WatchApp, pilot: Pilot[None]) -> None:
        assert rows(app)[0][0].startswith("[red]x[/]\\x1b")
        await press(app, pilot, "p")
        assert cli.task("[red]x[/]\x1b[2J").enabled is False

    drive(steps)


@pytest.mark.slow
def test_without_a_terminal_it_says_what_to_use(program: Program) -> None:
    done = program("watch")

    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "status or list" in done.err


@pytest.mark.slow
def test_without_the_extra_it_says_how_to_get_it(program: Program) -> None:
    assert program("init").code == 0
    (program.data.parent / "textual.py").write_text("raise ImportError('not here')\n")
    blocked = os.pathsep.join([str(program.data.parent), program.environment["PYTHONPATH"]])
    done = program.at_terminal("watch", PYTHONPATH=blocked)

    assert done.code == 1
    assert "pip install" in done.out


def test_r_needs_a_daemon_and_says_so(drive: Callable[..., None]) -> None:
    async def steps(app: WatchApp, pilot: Pilot[None]) -> None:
        await press(app, pilot, "r")
        await until(pilot, lambda: "no daemon runs" in toasts(app))

    drive(steps)


def test_s_says_that_nothing_runs(drive: Callable[..., None]) -> None:
    async def steps(app: WatchApp, pilot: Pilot[None]) -> None:
        await press(app, pilot, "s")
        await until(pilot, lambda: "does not run" in toasts(app))

    drive(steps)


@pytest.mark.slow
def test_a_run_is_started_watched_and_stopped(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    assert program("init").code == 0
    words = ("/bin/sh", "-c", "echo hello from the task; sleep 60")
    assert program("add", "sleeper", "--every", "9h", "--", *words).code == 0
    assert program("allow", "/bin/sh").code == 0
    program.daemon()
    for name, value in program.environment.items():
        monkeypatch.setenv(name, value)

    async def steps() -> None:
        sys.modules.pop("config", None)
        app = WatchApp(lambda: CommandSession(os.environ), every=0.2)
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: len(rows(app)) == 3)
            await pilot.press("down")
            await pilot.press("r")
            await until(pilot, lambda: "hello from the task" in rows(app)[1][3])
            assert rows(app)[1][1].startswith("»")
            await pilot.press("s")
            await until(pilot, lambda: "stopped by" in rows(app)[1][3])

    asyncio.run(steps())


async def until(pilot: Pilot[None], holds: Callable[[], bool], seconds: float = 20) -> None:
    """Let the screen go on until a condition holds."""
    for _ in range(int(seconds * 10)):
        if holds():
            return
        await pilot.pause(0.1)
    raise AssertionError("it did not happen in time")
