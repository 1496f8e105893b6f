"""Programs as processes of their own, without the price of a new interpreter for each.

Most of a short command's time goes into the start of Python and the imports, and so does most of a
daemon's in a test. Here one process of the tests does both once and forks for each program: a process
with its own PID, environment, folder, streams and exit code. What is about the start itself gets a
new interpreter.

    client                         server                  helper            command
      | a socket for the answer  ->  | fork                  |                 |
      | request, streams         ------------------------->  | fork            |
      | PID, exit code           <-------------------------  | waitpid         |
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import IO, Any, NoReturn

CHECKOUT = Path(__file__).parents[2]


class ForkServer:
    """Starts commands in processes that it forks; ends with `close`, or with the process that made it.

    Args:
        environment: the variables that the interpreter reads at its start are these in every command.
        before: a program that takes rights away, and its options; it goes before the server's own.
    """

    def __init__(self, environment: Mapping[str, str], before: Sequence[str] = ()) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            words = [*before, sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())]
            self._process = subprocess.Popen(
                words, env=environment, cwd=CHECKOUT, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )

    def run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        streams: tuple[int, int, int],
        seconds: float,
    ) -> int:
        """Run one command to its end; its exit code, or minus the signal that killed it.

        Raises:
            TimeoutExpired: it took longer than `seconds`, and was killed.
        """
        process = Forked(*self._ask(arguments, environment, folder, streams), arguments)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(seconds)
            raise

    def at(self, stream: int, arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> Forked:
        """Start what has a terminal, or another stream, as all three of its streams."""
        return Forked(*self._ask(arguments, environment, folder, (stream, stream, stream)), arguments)

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> Forked:
        """Start what goes on, with nothing on its stdin."""
        (out, its_out), (err, its_err) = os.pipe(), os.pipe()
        with open(os.devnull, "rb") as nothing:
            answer, pid = self._ask(arguments, environment, folder, (nothing.fileno(), its_out, its_err))
        os.close(its_out)
        os.close(its_err)
        return Forked(answer, pid, arguments, open(out), open(err))

    def _ask(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, streams: tuple[int, int, int]
    ) -> tuple[socket.socket, int]:
        """Ask for a process; the socket to which its exit code comes, and its PID."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._socket, [b"."], [theirs.fileno()])
        request = json.dumps([list(arguments), dict(environment), str(folder)]).encode()
        socket.send_fds(ours, [request], streams)
        ours.shutdown(socket.SHUT_WR)
        return ours, int(_line(ours))

    def close(self) -> None:
        self._socket.close()
        self._process.wait(20)


class Forked:
    """A process that the server forked, with what the tests use of `subprocess.Popen`."""

    stdin = None

    def __init__(
        self,
        answer: socket.socket,
        pid: int,
        arguments: Sequence[str],
        stdout: IO[str] | None = None,
        stderr: IO[str] | None = None,
    ) -> None:
        self.pid = pid
        self.args = arguments
        self.stdout = stdout
        self.stderr = stderr
        self.returncode: int | None = None
        self._answer = answer

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._answer.settimeout(timeout)
            try:
                self.returncode = int(_line(self._answer))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(list(self.args), timeout or 0) from None
            self._answer.close()
        return self.returncode

    def communicate(self, *, timeout: float | None = None) -> tuple[str, str]:
        """All that it says from now on, when it has ended."""
        readers = [_Reader(stream) for stream in (self.stdout, self.stderr) if stream is not None]
        self.wait(timeout)
        out, err = (reader.all(timeout) for reader in readers)
        return out, err

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Reader(Thread):
    """Reads a stream to its end, and closes it."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._said = ""
        self.start()

    def run(self) -> None:
        if not self._stream.closed:
            with self._stream:
                self._said = self._stream.read()

    def all(self, timeout: float | None) -> str:
        self.join(timeout)
        if self.is_alive():
            raise subprocess.TimeoutExpired("a forked process", timeout or 0)
        return self._said


def _line(answer: socket.socket) -> bytes:
    """One line of the answer; a number is so short that it comes as one piece."""
    line = b""
    while not line.endswith(b"\n"):
        piece = answer.recv(1)
        if not piece:
            raise EOFError("the fork server is gone")
        line += piece
    return line


def serve(requests: socket.socket) -> None:
    """Fork a helper for each request, until the client has closed its end."""
    signal.signal(signal.SIGCHLD, _reap)
    while (found := socket.recv_fds(requests, 1, 1))[0]:
        (descriptor,) = found[1]
        if os.fork() == 0:
            requests.close()
            with socket.socket(fileno=descriptor) as answer:
                _help(answer)
            os._exit(0)
        os.close(descriptor)


def _reap(*_: object) -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _help(answer: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    first, streams, *_ = socket.recv_fds(answer, 65536, 3)
    pieces = [first]
    while pieces[-1]:
        pieces.append(answer.recv(65536))
    arguments, environment, folder = json.loads(b"".join(pieces))

    if (pid := os.fork()) == 0:
        answer.close()
        _become(arguments, environment, folder, streams)
    answer.sendall(f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    answer.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _become(arguments: list[str], environment: dict[str, str], folder: str, streams: Sequence[int]) -> NoReturn:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    _open_streams()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.path[0] = folder  # as `python -m` has it
    sys.argv = ["jarvis_trio", *arguments]
    code = 1
    try:
        runpy.run_module("jarvis_trio", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  # nothing may go on in the server's own code
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(code)


def _open_streams() -> None:
    """Have Python know the streams as they are now: a pipe cannot seek, and a terminal shows each line at once."""
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # noqa: SIM115  # they stay open
    sys.stdout = sys.__stdout__ = open(1, "w", 1 if os.isatty(1) else -1, closefd=False)  # noqa: SIM115  # as above
    sys.stderr = sys.__stderr__ = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115  # as above


def _import_all() -> None:
    """What an ordinary command and the daemon need; not what extras are for, which few use."""
    for part in ("cli.commands", "foreground", "daemon", "engine", "handlers", "desk"):
        room = f"jarvis_trio.{part}"
        package: Any = importlib.import_module(room)
        for module in pkgutil.iter_modules(package.__path__, f"{room}."):
            importlib.import_module(module.name)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        _import_all()
        gc.freeze()
        serve(requests)
