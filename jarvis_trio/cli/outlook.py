"""What comes next of a task, as several commands say it."""

from __future__ import annotations

from jarvis_trio.cli.output import say
from jarvis_trio.desk.looks import next_slots
from jarvis_trio.desk.session import Session
from jarvis_trio.models import ScheduledTask
from jarvis_trio.notation.text import moment_words, relative


def say_outlook(session: Session, task: ScheduledTask) -> None:
    """Say the next three times of a task, in its zone."""
    now = session.now()
    for number, slot in enumerate(next_slots(session, task)):
        label = "      " if number else "Next: "
        say(f"{label}{moment_words(slot.at, slot.zone)} ({relative(slot.at, now)})")
