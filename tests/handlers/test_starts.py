"""Why a program does not start: what is wrong is named, and not what the kernel takes for missing."""

from __future__ import annotations

import errno
import re
import struct
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from jarvis_trio.errors import HandlerError
from jarvis_trio.handlers.processes import run_command
from jarvis_trio.handlers.starts import misread_first_line, start_error


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """An executable file, empty for now."""
    path = tmp_path / "program"
    path.touch(mode=0o755)
    return path


def refusal(program: Path) -> str:
    """How the refusal to start the program is told."""
    with pytest.raises(HandlerError) as refused:
        run_command([str(program)], environment={}, folder="/", timeout=timedelta(seconds=60), cancelled=Event())
    return str(refused.value)


def test_a_script_whose_interpreter_is_missing_names_it(program: Path) -> None:
    program.write_text("#! /no/such/python2.7 -u\n")
    message = f"{program} cannot be started: its interpreter /no/such/python2.7 is not there; install it, or"
    assert refusal(program).startswith(message)


def test_the_interpreter_of_an_interpreter_is_the_one_that_is_named(program: Path, tmp_path: Path) -> None:
    interpreter = tmp_path / "interpreter"
    interpreter.write_text("#!/no/such/perl\n")
    interpreter.chmod(0o755)
    program.write_text(f"#!{interpreter}\n")
    assert refusal(program).startswith(f"{interpreter} cannot be started: its interpreter /no/such/perl is not there")


@pytest.mark.parametrize("line", ["#!/etc", "#!/etc/passwd"])
def test_an_interpreter_that_nobody_can_execute_is_named(program: Path, line: str) -> None:
    program.write_text(f"{line}\n")
    assert f"its interpreter {line[2:]} is not an executable file" in refusal(program)


def test_a_script_with_line_ends_of_windows_says_so(program: Path) -> None:
    program.write_bytes(b"#!/bin/sh\r\necho hello\r\n")
    assert re.search(r"ends its lines as Windows does.*sed -i 's/\\r\$//' ", refusal(program))


def test_line_ends_of_windows_are_told_where_env_finds_no_interpreter_by_them(program: Path) -> None:
    program.write_bytes(b"#!/usr/bin/env bash\r\necho hello\r\n")
    assert "ends its lines as Windows does" in str(misread_first_line(str(program), 127))
    assert misread_first_line(str(program), 1) is None
    program.write_bytes(b"#!/usr/bin/env bash\nexit 127\n")
    assert misread_first_line(str(program), 127) is None


@pytest.mark.parametrize("content", [b"", b"echo hello\n", b"#!\necho hello\n"])
def test_a_script_without_an_interpreter_says_how_to_name_one(program: Path, content: bytes) -> None:
    program.write_bytes(content)
    assert refusal(program).endswith("begin the script with a line such as #!/bin/sh")


def test_a_byte_order_mark_before_the_first_line_is_told(program: Path) -> None:
    program.write_bytes(b"\xef\xbb\xbf#!/bin/sh\necho hello\n")
    assert "begins with a byte order mark, which hides its first line; remove it: sed" in refusal(program)


def test_a_program_of_another_machine_is_no_script(program: Path) -> None:
    program.write_bytes(b"\x7fELF" + bytes(200))
    assert "made for another kind of machine, or damaged" in refusal(program)


def test_a_program_whose_loader_is_missing_names_it(program: Path) -> None:
    loader = b"/lib/ld-of-another-system.so.1\0"
    for header, entry in [
        (struct.pack("<4s2B10x16xQ14x2H6x", b"\x7fELF", 2, 1, 64, 56, 1), struct.pack("<IIQ16xQ16x", 3, 4, 120, 31)),
        (struct.pack(">4s2B10x12xI10x2H6x12x", b"\x7fELF", 1, 2, 64, 32, 1), struct.pack(">II8xI12x", 3, 96, 31)),
    ]:
        program.write_bytes(header + entry + loader)
        error = start_error(str(program), "/", FileNotFoundError(errno.ENOENT, "No such file", str(program)))
        assert str(error) == (
            f"{program} cannot be started: it is made for another system, whose /lib/ld-of-another-system.so.1 "
            "is not there; install the program for this one"
        )


def test_a_damaged_program_is_told_as_the_kernel_tells_it(program: Path) -> None:
    gone = FileNotFoundError(errno.ENOENT, "No such file", str(program))
    for content in (b"\x7fELF", b"\x7fELF\x09" + bytes(60), b"\x7fELF\x02\x01" + b"\xff" * 60):
        program.write_bytes(content)
        assert "No such file" in str(start_error(str(program), "/", gone))
