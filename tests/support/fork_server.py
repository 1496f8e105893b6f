"""Commands as processes of their own, without the price of a new interpreter for each.

Most of a short command's time goes into the start of Python and the imports. Here one process of the
tests does both once and forks for each command: a process with its own PID, environment, folder,
streams and exit code. What is about the start itself, and every daemon, gets a new interpreter.

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
from typing import Any, NoReturn

CHECKOUT = Path(__file__).parents[2]


class ForkServer:
    """Starts commands in processes that it forks; ends with `close`, or with the process that made it.

    Args:
        environment: the variables that the interpreter reads at its start are these in every command.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            words = [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())]
            self._process = subprocess.Popen(
                words, env=environment, cwd=CHECKOUT, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )

    def run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        streams: tuple[int, int],
        seconds: float,
    ) -> int:
        """Run one command to its end; its exit code, or minus the signal that killed it.

        Raises:
            TimeoutExpired: it took longer than `seconds`, and was killed.
        """
        ours, theirs = socket.socketpair()
        with ours, ours.makefile("r") as answer:
            with theirs:
                socket.send_fds(self._socket, [b"."], [theirs.fileno()])
            request = json.dumps([list(arguments), dict(environment), str(folder)]).encode()
            socket.send_fds(ours, [request], streams)
            ours.shutdown(socket.SHUT_WR)
            pid = int(answer.readline())
            ours.settimeout(seconds)
            try:
                return int(answer.readline())
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(arguments), seconds) from None

    def close(self) -> None:
        self._socket.close()
        self._process.wait(20)


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
    first, streams, *_ = socket.recv_fds(answer, 65536, 2)
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
    for number, stream in enumerate(streams, start=1):
        os.dup2(stream, number)
        os.close(stream)
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


def _import_all() -> None:
    """What an ordinary command needs; not what extras are for, which few use."""
    for part in ("cli.commands", "foreground", "engine", "handlers", "desk"):
        room = f"jarvis_trio.{part}"
        package: Any = importlib.import_module(room)
        for module in pkgutil.iter_modules(package.__path__, f"{room}."):
            importlib.import_module(module.name)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        _import_all()
        gc.freeze()
        serve(requests)
