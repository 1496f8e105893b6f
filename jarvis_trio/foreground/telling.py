"""How a process of ours tells what is wrong: one line on stderr, and an exit code.

click prints it, since it knows what terminals and locales can show. It is imported with the first
line that there is: a daemon that starts well has none.
"""

from __future__ import annotations

import errno
import io
import logging
import sys
from collections.abc import Callable
from contextlib import suppress

from jarvis_trio.errors import JarvisError
from jarvis_trio.notation.text import printable
from jarvis_trio.permission import permission_fix

PROGRAM = "jarvis-trio"

FAILED = 1
"""The exit code of a command that could not be done."""

_WRONG_USAGE = 2


class WrongUsageError(JarvisError):
    """The words of the command line cannot be obeyed."""


class _Notes(logging.Handler):
    """Prints each log record of a command on one line, with its traceback only on request."""

    tracebacks = False

    def emit(self, record: logging.LogRecord) -> None:
        told = record.exc_info is None or self.tracebacks
        # How a run ended is what the command itself prints, if it ended well.
        if told and (record.name != "jarvis_trio.runs" or record.levelno > logging.INFO):
            for line in self.format(record).splitlines():
                _say(line)


NOTES = _Notes()
"""The daemon takes this one off the root logger, since it has a log."""


def code_of(work: Callable[[], int]) -> int:
    """Do a command's work, and tell what prevents it.

    Returns the exit code: that of the work if it is done; 1 if it could not be done, which one
    line on stderr says; 2 for wrong usage.
    """
    logging.getLogger().addHandler(NOTES)
    logging.getLogger("jarvis_trio").setLevel(logging.INFO)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a C locale can show no other text

    try:
        code = work()
        sys.stdout.flush()  # a full disk shows here, where it can still be told
    except WrongUsageError as error:
        return _complain(str(error), _WRONG_USAGE)
    except JarvisError as error:
        return _complain(str(error))
    except OSError as error:
        return _complain(_of_system(error))
    except KeyboardInterrupt:
        with suppress(OSError):
            _say("")  # it ends the line in which a terminal shows ^C
        return _complain("interrupted")
    return code


def note(text: str) -> None:
    """Print one line on stderr, apart from the data on stdout."""
    _say(f"note: {text}")


def _say(line: str) -> None:
    import click  # noqa: PLC0415  # see the module's docstring

    click.echo(printable(line), err=True)


def _of_system(error: OSError) -> str:
    """What the system refuses. Without a file's name it is stdout that cannot be written."""
    reason = error.strerror or str(error)
    if error.filename is None and error.errno == errno.ENOENT:  # of getcwd(2); no write fails by that
        return "the current folder was deleted; go to another one"
    if error.filename is None:
        return f"cannot write the output: {reason}; make room, or print it elsewhere"
    return str(JarvisError(f"cannot use {error.filename}: {reason}", fix=permission_fix(error.filename, error)))


def _complain(message: str, code: int = FAILED) -> int:
    with suppress(OSError):  # nobody can be told
        _say(f"{PROGRAM}: {message}")
    return code
