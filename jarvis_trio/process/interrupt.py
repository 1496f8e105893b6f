"""Ctrl-C while a command is being imported: it ends in one line, like a command that has begun.

Python's own answer is an exception, raised between any two instructions. In the midst of an
import it comes out as a traceback, or it is lost in a callback of the import itself.

This module is imported before all others, so it imports little.
"""

import os
import signal
from types import FrameType

_LINE = b"jarvis-trio: interrupted\n"
_CODE = 1


def end_at_interrupts() -> None:
    """From now on Ctrl-C ends the process at once, with exit code 1 and a line on stderr.

    Nothing may be open yet. A Ctrl-C that a parent had ignored stays ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def raise_interrupts() -> None:
    """From now on Ctrl-C raises KeyboardInterrupt again; a handler of others stays in force."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(_: int, __: FrameType | None) -> None:
    try:
        os.write(2, _LINE)
    except OSError:  # nobody can be told
        pass
    finally:
        os._exit(_CODE)
