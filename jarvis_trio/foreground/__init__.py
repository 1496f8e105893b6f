"""A process of ours in the foreground, and the one that needs no command line: the daemon.

What the words of the command line mean is `cli`'s to say. The daemon as it usually starts has
none to be read, and runs for months, so it starts here: what reads words takes a mebibyte. Any
other start goes through `cli`, and its `run` ends in the same `daemon.run_daemon`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from jarvis_trio.foreground.telling import code_of
from jarvis_trio.process.interrupt import raise_interrupts

DEFAULT = "run"
"""The command that runs if none is named."""

COMPLETION = "_JARVIS_TRIO_COMPLETE"
"""The variable by which a shell asks for the words that complete a command."""


def is_usual(words: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether these words start the daemon and say nothing else."""
    return list(words) in ([], [DEFAULT]) and COMPLETION not in environment


def main() -> int:
    """Run the daemon with its settings alone. Returns the exit code, as `cli.main` does."""
    return code_of(_run)


def _run() -> int:
    # They take a tenth of a second, in which Ctrl-C ends the process (see `process.interrupt`).
    from jarvis_trio.foreground.daemon import run_daemon  # noqa: PLC0415  # as above
    from jarvis_trio.foreground.session import CommandSession  # noqa: PLC0415  # as above

    raise_interrupts()
    with CommandSession(os.environ) as session:
        return run_daemon(session)
