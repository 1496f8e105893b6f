"""Machines of the tests' own: data folders with daemons, each in a network namespace if one is wanted."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.cli_world import CHECKOUT

_numbers = itertools.count(1)


class Machine:
    """A data folder with its own daemon, and the commands of a person there."""

    def __init__(self, folder: Path, name: str, address: str, prefix: Sequence[str] = ()) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir(mode=0o700)
        self.environment = {
            **os.environ,
            "JARVIS_DATABASE_URL": address,
            "JARVIS_MACHINE": name,
            "JARVIS_DATA_DIR": str(self.folder),
            "XDG_CONFIG_HOME": str(folder),
            "PYTHONPATH": str(CHECKOUT),
        }
        self._prefix = prefix
        self.daemon: subprocess.Popen[bytes] | None = None

    def start(self, interval: str = "1") -> None:
        environment = self.environment | {"DAEMON_TICK_INTERVAL_SECONDS": interval}
        with (self.folder / "out").open("ab") as out:
            self.daemon = subprocess.Popen(
                [*self._prefix, sys.executable, "-m", "jarvis_trio", "run"], env=environment, stdout=out, stderr=out
            )

    def kill(self) -> None:
        assert self.daemon is not None
        self.daemon.kill()
        self.daemon.wait(timeout=180)

    def stop(self) -> int:
        assert self.daemon is not None
        self.daemon.send_signal(signal.SIGTERM)
        return self.daemon.wait(timeout=180)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._prefix, sys.executable, "-m", "jarvis_trio", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )


@contextmanager
def machines(folder: Path, address: str, *names: str) -> Iterator[list[Machine]]:
    """Machines on this one's network. Their daemons are killed in the end."""
    with killed(found := [Machine(folder, name, address) for name in names]):
        yield found


@contextmanager
def killed(found: Sequence[Machine]) -> Iterator[None]:
    """Kill what daemons run in the end."""
    try:
        yield
    finally:
        for machine in found:
            if machine.daemon is not None and machine.daemon.poll() is None:
                machine.kill()


class Link:
    """A network namespace with one cable to this machine's network, which can be cut.

    Attributes:
        host: the address of this machine at the other end of the cable.
        prefix: what has a command run in the namespace.
    """

    def __init__(self) -> None:
        number = next(_numbers)
        tag = f"{os.getpid() % 100_000:05d}{number}"
        self._space, self._here, there = f"jarvis{tag}", f"jvh{tag}", f"jvt{tag}"
        network = f"10.{128 + os.getpid() % 100}.{number % 250}"
        self.host = f"{network}.1"
        self.prefix = ["ip", "netns", "exec", self._space]
        _ip("netns", "add", self._space)
        try:
            _ip("link", "add", self._here, "type", "veth", "peer", "name", there, "netns", self._space)
            _ip("address", "add", f"{self.host}/24", "dev", self._here)
            _ip("link", "set", self._here, "up")
            _ip("-n", self._space, "address", "add", f"{network}.2/24", "dev", there)
            _ip("-n", self._space, "link", "set", there, "up")
            _ip("-n", self._space, "link", "set", "lo", "up")
        except BaseException:
            self.remove()
            raise

    def cut(self) -> None:
        """Nothing passes any more, and nobody is told."""
        _ip("link", "set", self._here, "down")

    def join(self) -> None:
        """The cable is in again."""
        _ip("link", "set", self._here, "up")

    def remove(self) -> None:
        """Take the namespace away, with its end of the cable."""
        with suppress(subprocess.CalledProcessError):
            _ip("netns", "delete", self._space)


@contextmanager
def links(count: int) -> Iterator[list[Link]]:
    """So many namespaces, removed in the end."""
    made: list[Link] = []
    try:
        for _ in range(count):
            made.append(Link())
        yield made
    finally:
        for link in made:
            link.remove()


def why_no_links() -> str | None:
    """Why no network namespaces can be had here; None if they can."""
    if shutil.which("ip") is None:
        return "no `ip` is installed (Debian: apt-get install iproute2)"
    try:
        Link().remove()
    except subprocess.CalledProcessError as error:
        return f"network namespaces are not allowed here: {error.stderr.strip()}"
    return None


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=20)
