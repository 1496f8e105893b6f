"""`jarvis-trio tick`: one evaluation in this process, without a daemon."""

from __future__ import annotations

from typing import Any

import click

from jarvis_trio.cli.application import handler_options
from jarvis_trio.cli.output import STYLES, Cell, Column, Fit, json_option, print_list
from jarvis_trio.cli.signals import finishing_what_runs
from jarvis_trio.desk import errands, views
from jarvis_trio.desk.names import short_name
from jarvis_trio.desk.session import Session
from jarvis_trio.desk.words import result_summary
from jarvis_trio.notation.jsontext import json_value

_COLUMNS = (Column("TASK", Fit.FOLD), Column("STATUS"), Column("WHAT CAME OF IT", Fit.CUT))


@click.command()
@handler_options
@json_option
@click.pass_obj
def tick(session: Session, as_json: bool) -> None:
    """Run what is due, once, in this process.

    It may run beside a daemon: each slot is run by one of them.

    \b
    Example:
      jarvis-trio tick
    """
    try:
        with finishing_what_runs(session.engine):
            reports = errands.tick(session)
            print_list(
                reports, view=views.report_view, columns=_COLUMNS, row=_row, nothing="Nothing is due.", as_json=as_json
            )
            errands.require_written(session, "an outcome")
    except KeyboardInterrupt:
        errands.end_all_here()
        raise


def _row(report: dict[str, Any]) -> list[Cell]:
    status = report["status"]
    summary = report.get("error") or result_summary(json_value(report.get("result")))
    return [Cell(short_name(report["name"]), "bold"), Cell(status, STYLES[status]), Cell(summary)]
