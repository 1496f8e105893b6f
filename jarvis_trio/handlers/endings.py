"""How a child process ended, in words for the history."""

from __future__ import annotations

import re
import signal
from datetime import timedelta
from typing import TYPE_CHECKING

from jarvis_trio.models import HandlerContext, ScheduledTask
from jarvis_trio.notation.instants import duration_text
from jarvis_trio.notation.text import last_line

if TYPE_CHECKING:
    from jarvis_trio.handlers.processes import Completed

_LAST_LINE_CHARACTERS = 300
_CUT = re.compile(r"\n\[\.\.\. [\d,]+ bytes cut \.\.\.\]\n")
"""Where an output was cut in the middle: our words, and not the command's."""


def failure_reason(done: Completed) -> str:
    """How a process that ended by itself ended: its exit code or signal, and its last words."""
    reason = ": ".join(filter(None, (_how_it_ended(done.exit_code), last_words(done))))
    return f"{reason}; {survivors_words(done)}" if done.survivors else reason


def timeout_reason(done: Completed, timeout: timedelta) -> str:
    """Why a process was ended, how many went with it, what lives on, and its last words."""
    why = "as it was told to stop" if done.stopped else f"at its time limit of {duration_text(timeout)}"
    parts = [f"ended {why} (processes ended: {done.ended})"]
    if done.survivors:
        parts.append(survivors_words(done))
    if last := last_words(done):
        parts.append(f"its last output: {last}")
    return "; ".join(parts)


def survivors_words(done: Completed) -> str:
    """Which processes could not be ended, and what follows of it."""
    pids = ", ".join(str(process.pid) for process in done.survivors)
    return (
        f"these could not be ended (stuck in the kernel, or another user's): PID {pids}; "
        "until they are gone the task does not start again"
    )


def hold_task(done: Completed, task: ScheduledTask, context: HandlerContext) -> None:
    """Keep a task from starting again until what could not be ended is gone (law 2)."""
    if done.survivors:
        context.lingering.append(done.until_gone)
        context.logger.warning("Task %r: %s", task.name, survivors_words(done))


def last_words(done: Completed) -> str:
    """The last line that shows anything in its error output or, if there is none, in its output."""
    outputs = (_CUT.sub("\n", text) for text in (done.stderr, done.stdout))
    return next(filter(None, map(last_line, outputs)), "")[:_LAST_LINE_CHARACTERS]


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return "how it ended is not known, because something in this process took its exit code"
    return f"exit code {code}" if code >= 0 else f"ended by {_signal_name(-code)}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has no name
        return f"signal {number}"
