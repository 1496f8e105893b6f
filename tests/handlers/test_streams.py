"""Both outputs of a command in the order in which they were written, with real processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jarvis_trio.handlers.streams import Streams

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no pipes that hold one write")


def read_all(script: str, *arguments: str) -> list[tuple[str, bytes]]:
    """What a shell writes to both outputs, piece by piece."""
    pieces: list[tuple[str, bytes]] = []
    sinks = [lambda chunk, name=name: pieces.append((name, chunk)) for name in ("out", "err")]
    with Streams(sinks) as streams:
        out, err = streams.writers
        process = subprocess.Popen(["/bin/sh", "-c", script, "-", *arguments], stdout=out, stderr=err)
        streams.started()
        while streams.are_open():
            streams.pump(5)
        process.wait()
    return pieces


@pytest.fixture(params=[sys.platform, "darwin"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """This system, and what another one does, which has neither epoll nor pipes that hold one write."""
    monkeypatch.setattr(sys, "platform", request.param)


@LINUX
def test_both_outputs_keep_their_order_write_by_write() -> None:
    script = "i=0; while [ $i -lt 200 ]; do echo a$i; echo b$i >&2; echo c$i >&2; echo d$i; i=$((i+1)); done"
    expected = "".join(f"a{i}\nb{i}\nc{i}\nd{i}\n" for i in range(200))
    pieces = read_all(script)
    assert b"".join(chunk for _, chunk in pieces).decode() == expected
    assert b"".join(chunk for name, chunk in pieces if name == "err").count(b"c") == 200


@pytest.mark.usefixtures("system")
def test_each_output_is_whole() -> None:
    pieces = read_all("head -c 300000 /dev/zero; head -c 200000 /dev/zero >&2")
    sizes = {name: sum(len(chunk) for kind, chunk in pieces if kind == name) for name in ("out", "err")}
    assert sizes == {"out": 300_000, "err": 200_000}


def test_what_is_written_to_a_path_of_an_output_is_read_too() -> None:
    pieces = read_all("echo one > /dev/stderr; echo two > /dev/fd/1; head -c 9000 /dev/zero > /dev/stdout")
    assert pieces[:2] == [("err", b"one\n"), ("out", b"two\n")]
    assert sum(len(chunk) for _, chunk in pieces) == 9008


@LINUX
def test_a_program_that_widens_its_pipe_loses_nothing() -> None:
    code = (
        "import fcntl, os, time; fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 65536);"
        " [os.write(1, b'%d ' % i) for i in range(12)]; time.sleep(0.6); os.write(1, b'end')"
    )
    pieces = read_all('"$1" -c "$2"', sys.executable, code)
    assert b"".join(chunk for _, chunk in pieces) == b"".join(b"%d " % i for i in range(12)) + b"end"


@pytest.mark.usefixtures("system")
def test_draining_ends_although_somebody_holds_an_end() -> None:
    pieces: list[bytes] = []
    with Streams([pieces.append, pieces.append]) as streams:
        process = subprocess.Popen(["/bin/sh", "-c", "echo here; sleep 60"], stdout=streams.writers[0])
        streams.started()
        while not pieces:
            streams.pump(5)
        streams.drain()
        assert streams.are_open()
        process.kill()
        process.wait()
    assert pieces[0] == b"here\n"
