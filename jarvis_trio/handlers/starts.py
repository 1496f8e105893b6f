"""Why a program could not be started, or ended at once, if that lies in the file itself.

The kernel has few words for it (execve(2)): a script whose interpreter is missing, and a program
whose loader is, are told as missing themselves.
"""

from __future__ import annotations

import errno
import os
import struct
from typing import BinaryIO, NamedTuple

from jarvis_trio.errors import HandlerError
from jarvis_trio.notation.text import printable

_FIRST_LINE_BYTES = 256
"""How much of a script's first line Linux reads (execve(2))."""

_MOST_INTERPRETERS = 5
"""How many scripts may be each other's interpreter (execve(2))."""

_ELF = b"\x7fELF"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NOT_FOUND_BY_ENV = 127

_ELF_HEADER_BYTES = 64
_PT_INTERP = 3
_LONGEST_PATH = 4096


class _Layout(NamedTuple):
    """Where an ELF file says its table of segments is, and how one is written (elf(5))."""

    start: str
    entries: str
    entry: str


_LAYOUTS = {
    1: _Layout(start="28xI", entries="42xHH", entry="II8xI"),
    2: _Layout(start="32xQ", entries="54xHH", entry="I4xQ16xQ"),
}
"""By the file's class: 32 and 64 bits."""


def start_error(program: str, folder: str, error: Exception) -> HandlerError:
    """The error for `program` that could not be started in `folder`."""
    says = f"{printable(program)} cannot be started: {printable(str(error))}"
    if not isinstance(error, OSError):  # a NUL, or a character that has no bytes
        return HandlerError(says)
    if error.errno == errno.ENOEXEC:
        return _format_error(program, says)
    if isinstance(error, FileNotFoundError) and not os.path.isdir(folder):
        return HandlerError(f"the folder {printable(folder)} is not there", fix="make it, or give another one")
    return _interpreter_error(program, folder) or _loader_error(program, error) or HandlerError(says)


def misread_first_line(program: str, exit_code: int | None) -> HandlerError | None:
    """The error for a script whose `#!/usr/bin/env` found nothing, as its line ends in `\\r`."""
    line = _interpreter_line(program) if exit_code == _NOT_FOUND_BY_ENV else None
    return _windows_error(program) if line is not None and line.endswith(b"\r") else None


def _format_error(program: str, says: str) -> HandlerError:
    beginning = _beginning(program)
    if beginning.startswith(_ELF):
        return HandlerError(f"{says}; it is made for another kind of machine, or damaged", fix="install it again")
    if beginning.startswith(_BYTE_ORDER_MARK):
        says = f"{printable(program)} begins with a byte order mark, which hides its first line"
        return HandlerError(says, fix=f"remove it: sed -i '1s/^\\xEF\\xBB\\xBF//' {printable(program)}")
    return HandlerError(says, fix="begin the script with a line such as #!/bin/sh")


def _interpreter_error(program: str, folder: str) -> HandlerError | None:
    """What is wrong with the interpreter of a script, or with the interpreter's own."""
    script = program
    for _ in range(_MOST_INTERPRETERS):
        if (line := _interpreter_line(script)) is None:
            return None
        if line.endswith(b"\r"):
            return _windows_error(script)
        interpreter = os.path.join(folder, os.fsdecode(line.split()[0])) if line else "(none)"
        if not os.path.isfile(interpreter) or not os.access(interpreter, os.X_OK):
            return _no_interpreter(script, interpreter)
        script = interpreter
    return None


def _no_interpreter(script: str, interpreter: str) -> HandlerError:
    lacks = "not an executable file" if os.path.exists(interpreter) else "not there"
    says = f"{printable(script)} cannot be started: its interpreter {printable(interpreter)} is {lacks}"
    return HandlerError(says, fix="install it, or name another one in the script's first line")


def _windows_error(script: str) -> HandlerError:
    shown = printable(script)
    says = f"{shown} ends its lines as Windows does, so that no interpreter is found by its first line"
    return HandlerError(says, fix=f"turn its line ends into those of Unix: sed -i 's/\\r$//' {shown}")


def _loader_error(program: str, error: OSError) -> HandlerError | None:
    loader = _loader(program) if isinstance(error, FileNotFoundError) else None
    if loader is None:
        return None
    says = f"{printable(program)} cannot be started: it is made for another system, whose {printable(loader)}"
    return HandlerError(f"{says} is not there", fix="install the program for this one")


def _loader(program: str) -> str | None:
    """The loader that an ELF program asks for (elf(5)); None if it asks for none.

    A damaged one has none.
    """
    try:
        with open(program, "rb") as file:
            return _named_loader(file)
    except (OSError, ValueError, LookupError, struct.error):
        return None


def _named_loader(file: BinaryIO) -> str | None:
    header = file.read(_ELF_HEADER_BYTES)
    if not header.startswith(_ELF):
        return None
    order, layout = "<" if header[5] == 1 else ">", _LAYOUTS[header[4]]
    (start,) = struct.unpack_from(order + layout.start, header)
    size, count = struct.unpack_from(order + layout.entries, header)

    file.seek(start)
    for entry in [file.read(size) for _ in range(count)]:
        kind, offset, length = struct.unpack_from(order + layout.entry, entry)
        if kind == _PT_INTERP:
            file.seek(offset)
            return os.fsdecode(file.read(min(length, _LONGEST_PATH)).rstrip(b"\0"))
    return None


def _interpreter_line(program: str) -> bytes | None:
    """The first line of a script without its `#!`; None for what is not a script."""
    line = _beginning(program).split(b"\n")[0]
    return line[2:].strip(b" \t") if line.startswith(b"#!") else None


def _beginning(program: str) -> bytes:
    try:
        with open(program, "rb") as file:
            return file.read(_FIRST_LINE_BYTES)
    except OSError:
        return b""
