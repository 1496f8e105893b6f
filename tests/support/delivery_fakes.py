"""Real counterparts for the channels: programs that record what they are given, servers on loopback."""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import socket
import socketserver
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from jarvis_trio.delivery import Channels, Message

MESSAGE = Message("backup", "executed", '{"files": 12}', "2026-11-21T09:00:00+01:00")
HOSTILE = [
    'say "hi"',
    'back\\slash \\n \\" end',
    "$(touch pwned) `touch pwned` ${HOME} $HOME",
    '-e do shell script "touch pwned"',
    "--",
    "-",
    "'; touch pwned; '",
    '" & (do shell script "touch pwned") & "',
    "naïve 日本語 🎉 \u202e",
    "%s {0} %(name)s",
]

_RECORDER = """\
import json, os, sys, time
with open(sys.argv[1], "a") as file:
    print(json.dumps({"argv": sys.argv[2:], "stdin": sys.stdin.read(), "environment": dict(os.environ)}), file=file)
"""


_USED_BY_FAKES = ("sleep", "head", "tr", "kill")


@dataclass
class Programs:
    """A folder of programs that record their calls, and the channels that find them there.

    It is the whole PATH: a machine may have a `notify-send` of its own.
    """

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        for name in _USED_BY_FAKES:
            if real := shutil.which(name, path=os.defpath):
                (self.folder / name).symlink_to(real)

    def add(self, name: str, then: str = "") -> None:
        """Make the program `name`; after recording, the shell runs `then`."""
        recorder = self.folder / "recorder.py"
        recorder.write_text(_RECORDER)
        record = shlex.join([sys.executable, "-I", str(recorder), str(self._log(name))])
        program = self.folder / name
        program.write_text(f'#!/bin/sh\n{record} "$@" || exit 99\n{then}\n')
        program.chmod(0o755)

    def calls(self, name: str) -> list[dict[str, Any]]:
        """What the program was given, call by call."""
        log = self._log(name)
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def channels(self, platform: str, timeout: timedelta = timedelta(seconds=20), **environment: str) -> Channels:
        """Channels on a machine of that platform, whose PATH is the folder."""
        return Channels({"PATH": str(self.folder), **environment}, None, platform=platform, timeout=timeout)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


@dataclass(eq=False)
class MailServer(socketserver.ThreadingTCPServer):
    """An SMTP server (RFC 5321) that takes one account, AUTH PLAIN and LOGIN, and STARTTLS where it has a context."""

    address: str = "127.0.0.1"
    account: tuple[str, str] | None = None
    tls: ssl.SSLContext | None = None
    tls_at_once: bool = False
    refuses: tuple[str, ...] = ()
    parting: str | None = "221 bye"
    """What it says at the end; None for a byte now and then, without an end."""
    mails: list[dict[str, Any]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    daemon_threads = True
    allow_reuse_address = True

    def __post_init__(self) -> None:
        super().__init__((self.address, 0), _SmtpSession)

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _SmtpSession(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.encrypted = self.authenticated = False
        self.envelope: dict[str, Any] = {"to": []}
        if self.server.tls_at_once and not self._encrypt():
            return
        self.say("220 fake ESMTP")
        while line := self.rfile.readline().decode().rstrip("\r\n"):
            self.server.commands.append(line)
            verb = line.split(" ")[0].upper()
            if verb == "QUIT":
                return self._part()
            if verb == "STARTTLS":
                self.say("220 go ahead")
                if not self._encrypt():
                    return
            else:
                getattr(self, f"do_{verb}", self.unknown)(line)

    def say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

    def _part(self) -> None:
        if self.server.parting is not None:
            return self.say(self.server.parting)
        with suppress(OSError):  # the client has left
            while True:
                self.wfile.write(b"2")
                time.sleep(0.1)
        return None

    def _encrypt(self) -> bool:
        assert self.server.tls is not None
        try:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        except OSError:  # the client does not trust us
            return False
        self.setup()
        self.encrypted = True
        return True

    def finish(self) -> None:
        super().finish()
        self.request.close()

    def unknown(self, line: str) -> None:
        self.say("502 not implemented")

    def do_EHLO(self, line: str) -> None:
        offers = ["AUTH PLAIN LOGIN"] if self.server.account else []
        offers += ["STARTTLS"] if self.server.tls and not self.encrypted else []
        self.say("250-fake", *(f"250-{offer}" for offer in offers), "250 8BITMIME")

    def do_AUTH(self, line: str) -> None:
        _, way, answer = line.split(" ")
        if way == "PLAIN":
            _, user, password = base64.b64decode(answer).decode().split("\0")
        else:
            self.say("334 UGFzc3dvcmQ6")
            user, password = (base64.b64decode(text).decode() for text in (answer, self.rfile.readline()))
        self.authenticated = (user, password) == self.server.account
        self.say("235 welcome" if self.authenticated else f"535 5.7.8 wrong user or password: {password}")

    def do_MAIL(self, line: str) -> None:
        if self.server.account and not self.authenticated:
            return self.say("530 5.7.0 authentication required")
        self.envelope = {"from": line, "to": [], "encrypted": self.encrypted}
        return self.say("250 ok")

    def do_RCPT(self, line: str) -> None:
        if any(address in line for address in self.server.refuses):
            return self.say("550 5.1.1 no such user")
        self.envelope["to"].append(line[len("RCPT TO:<") :].split(">")[0])
        return self.say("250 ok")

    def do_RSET(self, line: str) -> None:
        self.say("250 ok")

    def do_DATA(self, line: str) -> None:
        self.say("354 go on")
        lines = []
        while (text := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(text.removeprefix(b"."))
        self.server.mails.append({**self.envelope, "data": b"".join(lines)})
        self.say("250 queued")


@dataclass(eq=False)
class WebServer(ThreadingHTTPServer):
    """An HTTP server that records what is posted to it and answers with one status."""

    status: int = 202
    location: str | None = None
    posts: list[dict[str, Any]] = field(default_factory=list)

    daemon_threads = True

    def __post_init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _WebRequest)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _WebRequest(BaseHTTPRequestHandler):
    server: WebServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append({"path": self.path, "headers": dict(self.headers), "body": body.decode()})
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.server.posts.append({"path": self.path, "headers": dict(self.headers), "body": ""})
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(server: Any) -> Iterator[Any]:
    """Run a socketserver in a thread for as long as the block takes."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def silent_server() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
