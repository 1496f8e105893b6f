"""`jarvis-trio timeline`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from jarvis_trio.cli.output import console, json_option, print_json, say
from jarvis_trio.cli.session import pass_looking_session
from jarvis_trio.desk import views
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import JarvisError
from jarvis_trio.insight.timeline import Timeline, timeline
from jarvis_trio.insight.timeline_svg import chart_svg
from jarvis_trio.insight.timeline_text import chart_lines
from jarvis_trio.permission import permission_fix


@click.command("timeline")
@click.option(
    "--hours", metavar="N", type=click.IntRange(1, 31 * 24), default=24, show_default=True, help="How far to look back."
)
@click.option("--svg", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write a picture there.")
@json_option
@pass_looking_session
def timeline_command(session: Session, /, hours: int, svg: Path | None, as_json: bool) -> None:
    """Draw the runs of the last hours, a lane for each task, and what is ahead.

    It looks ahead a quarter of the time that it looks back.

    \b
    Example:
      jarvis-trio timeline
      jarvis-trio timeline --hours 72 --svg runs.svg
    """
    chart = timeline(session.store, timedelta(hours=hours), session.now())
    if svg is not None:
        _write(svg, chart_svg(chart))
    if as_json:
        print_json(views.timeline_view(chart))
    elif svg is not None:
        say(f"Wrote {svg}")
    else:
        _draw(chart)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        fix = permission_fix(path, error, "give --svg a file in a folder of your own")
        raise JarvisError(f"cannot write {path}: {error.strerror}", fix=fix) from None


def _draw(chart: Timeline) -> None:
    from rich.text import Text  # noqa: PLC0415  # 40 ms, which `--json` and `--svg` need not pay

    target = console()
    for segments in chart_lines(chart, target.width):
        target.print(Text.assemble(*segments), no_wrap=True, overflow="crop")
