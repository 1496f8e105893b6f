"""`python -m jarvis_trio`, and the installed `jarvis-trio`: a command as a process."""

import os
import sys

from jarvis_trio.process.interrupt import end_at_interrupts

TYPE_CHECKING = False  # `typing` has the same, and takes 10 ms in which Ctrl-C prints a traceback
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


def run() -> "NoReturn":
    """Run one command, and end the process with its exit code.

    At once: the interpreter's own end would wait for every thread that a handler or a
    delivery has left behind, perhaps forever, and it takes longer than a stop may (law 1).
    The database, the lock and the log are closed by then.
    """
    end_at_interrupts()
    from jarvis_trio.process.first import leave_the_work_to_a_child  # noqa: PLC0415  # they take a tenth of a second, in which Ctrl-C may come
    from jarvis_trio.process.offspring import bind_offspring  # noqa: PLC0415  # as above
    from jarvis_trio.process.signals import undo_inherited  # noqa: PLC0415  # as above

    main = _main()
    _open_missing_streams()
    undo_inherited()
    leave_the_work_to_a_child()
    bind_offspring()
    try:
        code = main()
    except KeyboardInterrupt:  # a second one, while `main` told of the first
        code = 1
    end_at_interrupts()  # the command is over
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # it is full or closed, which `main` has told
            continue
    _end_children()
    os._exit(code)


def _main() -> "Callable[[], int]":
    """What does the work: the command line, or the daemon without it if no word says more."""
    from jarvis_trio import foreground  # noqa: PLC0415  # as above

    if foreground.is_usual(sys.argv[1:], os.environ):
        return foreground.main
    from jarvis_trio.cli import main  # noqa: PLC0415  # as above

    return main


def _end_children() -> None:
    """End what a handler forked: it would run on beside the next process that runs its task."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:  # there are none, as nearly always
        return

    from jarvis_trio.handlers.processes import end_descendants  # noqa: PLC0415  # psutil: 20 ms

    end_descendants()


def _open_missing_streams() -> None:
    """Open the null device for each closed stream: else the database would take its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  # it takes the lowest free number, and must stay open


if __name__ == "__main__":
    run()
