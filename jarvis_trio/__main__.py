"""`python -m jarvis_trio`, and the installed `jarvis-trio`: a command as a process."""

import os
import sys
from contextlib import suppress
from typing import NoReturn

from jarvis_trio.cli import main


def run() -> NoReturn:
    """Run one command, and end the process with its exit code.

    At once: the interpreter's own end would wait for every thread that a handler started
    and left, for ever perhaps, and takes longer than a stop may (law 1). The database, the
    lock and the log are closed by then.
    """
    code = main()
    with suppress(OSError, ValueError, AttributeError):  # what cannot be written is for the interpreter to tell
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    run()
