"""An application of Celery: its only job writes down the slot that it is told. For a worker process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from celery import Celery
from jarvis_trio_examples.celery_job import once
from redis import Redis

app = Celery(broker=os.environ["QUEUE"])


@app.task(name="reports.make", bind=True)
@once(Redis.from_url(os.environ["QUEUE"]))
def make(job: Any, slot: str, title: str) -> None:
    """One line for each time that it runs."""
    with Path(os.environ["REPORTS"]).open("a") as reports:
        reports.write(f"{title} {slot}\n")
