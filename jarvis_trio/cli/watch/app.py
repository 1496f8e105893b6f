"""The live screen, drawn with Textual: a table that counts down, and keys that act.

It reads the database in a thread of its own each second and asks the desk for what a person
presses. It listens to nothing and needs no daemon, which it only tells of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import DataTable, Footer, Input, Label, Static

from jarvis_trio.cli.watch.board import Board, Row, countdown, matching, output_end, read_board, read_detail
from jarvis_trio.desk import acts, errands
from jarvis_trio.desk.looks import TaskDetail
from jarvis_trio.desk.session import Session
from jarvis_trio.desk.words import definition_words, run_summary, zone_of
from jarvis_trio.errors import DaemonMissingError, JarvisError
from jarvis_trio.insight.timeline_text import chart_lines
from jarvis_trio.models import RunStatus, is_held
from jarvis_trio.notation.text import counted, joined, moment_words, printable, relative

MARKS = {
    RunStatus.EXECUTED: ("●", "green"),
    RunStatus.ERROR: ("✗", "bold red"),
    RunStatus.TIMEOUT: ("T", "bold red"),
    RunStatus.INTERRUPTED: ("!", "bold red"),
    RunStatus.MISSED: ("○", "yellow"),
    RunStatus.SKIPPED: ("◇", "yellow"),
    RunStatus.RUNNING: ("»", "cyan"),
}
"""An outcome as a mark and a colour; the mark alone says it all."""

HELP = """\
[b]enter[/b]  details, last runs and output     [b]r[/b]  run it now
[b]/[/b]      only names or schedules with ...  [b]s[/b]  stop what runs of it
[b]t[/b]      the day's timeline, or not        [b]p[/b]  pause or resume it
[b]d[/b]      dark or light                     [b]q[/b]  leave; the daemon goes on

The marks are the last outcomes, the newest at the right:
● executed  ✗ error  T timeout  ! interrupted
○ missed    ◇ skipped  » running"""

_SECOND = 1.0


class WatchApp(App[None]):
    """The screen.

    Args:
        session: opens a session of the desk; called in threads.
        every: seconds between two looks.
    """

    TITLE = "Jarvis"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #status { height: auto; padding: 0 1; text-style: bold; }
    #tasks { height: 1fr; }
    #day { height: auto; max-height: 40%; padding: 0 1; display: none; }
    #filter { display: none; border: none; height: 1; padding: 0 1; }
    #empty { display: none; padding: 1 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "details", "Details", priority=False),
        Binding("r", "run", "Run"),
        Binding("s", "stop", "Stop"),
        Binding("p", "pause", "Pause"),
        Binding("slash", "filter", "Filter", key_display="/", priority=True),
        Binding("t", "day", "Timeline"),
        Binding("d", "dark", "Dark", show=False),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "quit", "Quit"),
        Binding("escape", "clear", "Clear", show=False),
    ]

    def __init__(self, session: Callable[[], Session], every: float = _SECOND) -> None:
        super().__init__()
        self.open_session = session
        self._every = every
        self._board: Board | None = None
        self._wanted = ""

    def compose(self) -> ComposeResult:
        """One line of status, the tasks, the day, and the keys."""
        yield Label("", id="status")
        yield DataTable(id="tasks", cursor_type="row", zebra_stripes=True)
        yield Static("There are no tasks yet. To add one: jarvis-trio add NAME --every 5m -- COMMAND", id="empty")
        yield Static(id="day")
        yield Input(placeholder="only names or schedules with ...", id="filter")
        yield Footer()

    def on_mount(self) -> None:
        """Draw once, then each second."""
        table = self._table()
        table.add_columns("TASK", "NEXT", "LAST OUTCOMES", "WHAT CAME OF IT")
        table.focus()
        self.look()
        self.set_interval(self._every, self.look)

    @work(thread=True, exclusive=True, group="look")
    def look(self) -> None:
        """Read the database, in a thread, and show what is there."""
        try:
            with self.open_session() as session:
                session.only_looks = True
                board = read_board(session)
        except JarvisError as error:
            self.call_from_thread(self._tell_trouble, str(error))
            return
        self.call_from_thread(self.show, board)

    def show(self, board: Board) -> None:
        """Show a board; the cursor stays on its task."""
        self._board = board
        self.query_one("#status", Label).update(_status_line(board))
        self._fill(matching(board.rows, self._wanted), board)
        self.query_one("#empty").display = not board.rows
        self._draw_day()

    def _fill(self, rows: list[Row], board: Board) -> None:
        table, chosen = self._table(), self.chosen
        cells = {row.name: _cells(row, board, self.size.width) for row in rows}
        if [key.value for key in table.rows] != list(cells):
            table.clear()
            for name, values in cells.items():
                table.add_row(*values, key=name)
            if chosen in cells:
                table.move_cursor(row=list(cells).index(chosen))
            return

        for number, values in enumerate(cells.values()):
            for column, value in enumerate(values):
                table.update_cell_at((number, column), value, update_width=True)  # type: ignore[arg-type]  # Coordinate is a pair

    @property
    def chosen(self) -> str | None:
        """The name of the task under the cursor."""
        table = self._table()
        if not table.row_count:
            return None
        key = table.coordinate_to_cell_key(table.cursor_coordinate).row_key
        return key.value

    def _table(self) -> DataTable[Text]:
        return self.query_one("#tasks", DataTable)

    def _tell_trouble(self, text: str) -> None:
        self.query_one("#status", Label).update(Text(printable(text), "bold red"))

    def _draw_day(self) -> None:
        day = self.query_one("#day", Static)
        if day.display and self._board is not None:
            lines = (Text.assemble(*segments) for segments in chart_lines(self._board.day, self.size.width - 2))
            day.update(Text("\n").join(lines))

    def action_day(self) -> None:
        """Show or hide the day's timeline."""
        day = self.query_one("#day", Static)
        day.display = not day.display
        self._draw_day()

    def action_dark(self) -> None:
        """Change between dark and light."""
        self.theme = "textual-light" if self.current_theme.dark else "textual-dark"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only the list of tasks has a filter and a timeline; in the filter a slash is a letter."""
        if action not in ("filter", "day"):
            return True
        return len(self.screen_stack) == 1 and not isinstance(self.focused, Input)

    def action_filter(self) -> None:
        """Ask for a text that names or schedules hold.

        Over a slow line a whole word arrives at once, and its letters must not stop or pause a
        task. So this key has priority, and the field has the focus before the next key is read.
        """
        field = self.query_one("#filter", Input)
        field.display = True
        self.screen.set_focus(field)

    def action_clear(self) -> None:
        """Take the filter away."""
        field = self.query_one("#filter", Input)
        field.value, field.display = "", False
        self._table().focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while the person types."""
        self._wanted = event.value
        if self._board is not None:
            self.show(self._board)

    def on_input_submitted(self, _: Input.Submitted) -> None:
        """Back to the tasks, filtered."""
        self.query_one("#filter", Input).display = bool(self._wanted)
        self._table().focus()

    def on_data_table_row_selected(self, _: DataTable.RowSelected) -> None:
        """Enter on a task."""
        self.action_details()

    def action_details(self) -> None:
        """Show the chosen task whole."""
        if self.chosen is not None:
            self.push_screen(DetailScreen(self.open_session, self.chosen))

    def action_help(self) -> None:
        """Show the keys and the marks."""
        self.push_screen(HelpScreen())

    def action_pause(self) -> None:
        """Pause the chosen task, or resume it."""
        row = self._row()
        if row is not None:
            self._act(acts.pause if row.enabled else acts.resume, row.name, "Paused" if row.enabled else "Resumed")

    def action_run(self) -> None:
        """Have the daemon run the chosen task now."""
        if self.chosen is not None:
            self._act(_run, self.chosen, "The daemon runs")

    def action_stop(self) -> None:
        """End what runs of the chosen task."""
        if self.chosen is not None:
            self._act(errands.ask_stop, self.chosen, "Stopping")

    def _row(self) -> Row | None:
        rows = () if self._board is None else self._board.rows
        return next((row for row in rows if row.name == self.chosen), None)

    @work(thread=True, group="act")
    def _act(self, act: Callable[[Session, str], Any], name: str, done: str) -> None:
        try:
            with self.open_session() as session:
                act(session, name)
        except JarvisError as error:
            self.call_from_thread(self.notify, printable(str(error)), severity="error", markup=False)
            return
        self.call_from_thread(self.notify, f"{done} {printable(name)}.", markup=False)
        self.look()


def _run(session: Session, name: str) -> None:
    if errands.ask_run(session, name) is None:
        raise DaemonMissingError("no daemon runs that could run it", fix="start it with: jarvis-trio run")


class HelpScreen(ModalScreen[None]):
    """The keys and the marks; any of them leaves."""

    CSS = """
    HelpScreen { align: center middle; }
    #help { width: 76; height: auto; padding: 1 2; background: $panel; border: round $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "dismiss", "Back")]

    def compose(self) -> ComposeResult:
        """One box."""
        yield Static(HELP, id="help")


class DetailScreen(Screen[None]):
    """A task whole: what it is, what comes next, its last runs and the end of its output."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss", "Back")]

    def __init__(self, session: Callable[[], Session], name: str) -> None:
        super().__init__()
        self.open_session = session
        self.task_name = name

    def compose(self) -> ComposeResult:
        """A page that scrolls."""
        with VerticalScroll():
            yield Static(id="detail")
        yield Footer()

    def on_mount(self) -> None:
        """Read it now and each second."""
        self.look()
        self.set_interval(_SECOND, self.look)

    @work(thread=True, exclusive=True)
    def look(self) -> None:
        """Read the task in a thread."""
        try:
            with self.open_session() as session:
                session.only_looks = True
                text = detail_text(read_detail(session, self.task_name), session)
        except JarvisError as error:
            text = Text(printable(str(error)), "bold red")
        self.app.call_from_thread(self.query_one("#detail", Static).update, text)


def detail_text(detail: TaskDetail, session: Session) -> Text:
    """A task in lines."""
    now, zone = session.now(), session.zone()
    task = detail.state.task
    own = zone_of(task, zone)
    lines = [Text(printable(task.name), "bold")]
    lines += [
        Text.assemble((f"{heading:<12}", "dim"), printable(text))
        for heading, text in definition_words(task, zone).items()
    ]
    lines += [Text(), Text("Next", "bold")]
    lines += [Text(f"{relative(slot.at, now):<12} {moment_words(slot.at, own)}") for slot in detail.next]
    lines += [Text(), Text("Last runs", "bold")]
    for run in detail.runs:
        mark, style = MARKS[run.status]
        when = f"{relative(run.started_at, now):<12}"
        lines.append(Text.assemble((mark, style), f" {run.id:>6}  {when} ", printable(run_summary(run))))
    if detail.runs and (output := output_end(session, detail.runs[0].id)):
        lines += [Text(), Text(f"The end of what run {detail.runs[0].id} wrote", "bold"), Text(output)]
    return Text("\n").join(lines)


def _status_line(board: Board) -> Text:
    status = board.status
    if status.daemon is None:
        daemon = ("no daemon runs", "bold red")
    else:
        daemon = (f"daemon {status.daemon.pid or ''}".strip(), "green")
    parts: list[tuple[str, str]] = [daemon, (counted(status.total, "task"), "")]
    if status.room is not None and status.room.is_short():
        parts.append(("disk full", "bold red"))
    if status.failing:
        parts.append((f"{len(status.failing)} failing", "bold red"))
    if status.machines:
        away = [state.name for state in status.machines if state.away]
        parts.append((counted(len(status.machines), "machine"), ""))
        parts += [(f"{joined(away)} away", "yellow")] if away else []
    if status.next is not None:
        name, at = status.next
        parts.append((f"next {printable(name)} {_until(board, at)}", ""))
    line = Text(no_wrap=True, overflow="ellipsis")
    for number, part in enumerate(parts):
        line.append(" · " if number else "")
        line.append(*part)
    return line


def _until(board: Board, at: Any) -> str:
    return "due" if at <= board.at else f"in {countdown(at - board.at)}"


def _cells(row: Row, board: Board, width: int) -> list[Text]:
    strip = Text()
    for status in row.strip:
        strip.append(*MARKS[status])
    name = Text(printable(row.name), "bold", no_wrap=True, overflow="ellipsis")
    name.truncate(max(16, width // 3), overflow="ellipsis")
    says = Text(_says(row, board), no_wrap=True, overflow="ellipsis")
    says.truncate(max(width - 50, 20), overflow="ellipsis")
    return [name, _next(row, board), strip, says]


def _says(row: Row, board: Board) -> str:
    due = row.next_at is not None and row.next_at <= board.at
    return row.waits if due and row.waits else row.says


def _next(row: Row, board: Board) -> Text:
    if row.running is not None:
        return Text(f"» {countdown(board.at - row.running.started_at)}", "cyan")
    if row.set_aside is not None:
        return Text("held", "yellow") if is_held(row.set_aside) else Text("set aside", "bold red")
    if not row.enabled:
        return Text("paused", "yellow")
    if row.next_at is None:
        return Text("-", "dim")
    if row.waits and row.next_at <= board.at:
        return Text("waits", "yellow")
    return Text(_until(board, row.next_at), "cyan" if row.next_at <= board.at else "")
