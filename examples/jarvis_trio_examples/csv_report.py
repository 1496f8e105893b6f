"""Yesterday's totals from a CSV file. The slot says which day is meant, not the clock."""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from jarvis_trio.errors import HandlerError
from jarvis_trio.models import HandlerContext, ScheduledTask, json_object


def csv_report(task: ScheduledTask, context: HandlerContext) -> dict[str, Any]:
    """Add up the column `amount` for each value of the column `by`, over the rows of one `date`.

    `{"file": "/home/you/sales.csv", "by": "region"}`. With `--deliver email` the result
    arrives as readable lines.
    """
    config = json_object(task.handler_config, "handler_config")
    # A run that starts late, since the machine slept, or again, since the first attempt
    # failed, still reports on the day before its slot. "Day" is one of the task's zone.
    day = context.scheduled_for.astimezone(context.zone).date() - timedelta(days=1)
    totals: defaultdict[str, Decimal] = defaultdict(Decimal)
    try:
        with open(config["file"], newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["date"] == day.isoformat():
                    totals[row[config["by"]]] += Decimal(row["amount"])
    except KeyError as error:
        raise HandlerError(f"no {error} in the handler_config or among the columns; add it") from error
    except InvalidOperation as error:
        raise HandlerError(f"an amount of {day} is not a number; fix {config['file']}") from error
    # A missing file is left to raise: FileNotFoundError with its name says enough by itself.
    context.logger.info("%d groups on %s", len(totals), day)
    return {"day": day.isoformat(), "totals": {group: str(total) for group, total in sorted(totals.items())}}
