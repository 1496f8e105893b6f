"""An application of procrastinate: its only job writes down the slot that it is told. For a worker process."""

from __future__ import annotations

import os
from pathlib import Path

from procrastinate import App, PsycopgConnector

app = App(connector=PsycopgConnector(conninfo=os.environ["QUEUE"]))


@app.task(name="reports.make")
def make(slot: str, title: str) -> None:
    """One line for each time that it runs."""
    with Path(os.environ["REPORTS"]).open("a") as reports:
        reports.write(f"{title} {slot}\n")
