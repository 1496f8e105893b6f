"""The files that hold what runs wrote."""

from __future__ import annotations

import os
import resource
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from jarvis_trio.handlers.outputs import LIMIT_BYTES, OutputFile, Outputs


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path / "runs")


@pytest.fixture
def small(tmp_path: Path) -> Outputs:
    """Of which 400 bytes are kept."""
    return Outputs(tmp_path / "runs", 400)


def lines(count: int, start: int = 0) -> bytes:
    """Ten bytes a line."""
    return b"".join(b"line %04d\n" % number for number in range(start, start + count))


def test_what_is_written_is_there_at_once_and_private(outputs: Outputs) -> None:
    with outputs.create(7) as output:
        output.write(b"one\n")
        assert outputs.path(7).read_bytes() == b"one\n"
        output.write(b"two\n")
    assert outputs.path(7).read_bytes() == b"one\ntwo\n"
    assert stat.S_IMODE(outputs.path(7).stat().st_mode) == 0o600
    assert stat.S_IMODE(outputs.path(7).parent.stat().st_mode) == 0o700
    assert output.trouble is None


def test_ten_mebibytes_are_kept_whole(outputs: Outputs) -> None:
    chunk = os.urandom(64 * 1024)
    with outputs.create(1) as output:
        for _ in range(LIMIT_BYTES // len(chunk)):
            output.write(chunk)
    assert outputs.path(1).read_bytes() == chunk * (LIMIT_BYTES // len(chunk))


@pytest.mark.parametrize("count", [41, 60, 100, 1000])
@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_beyond_the_limit_the_beginning_and_the_end_are_kept(small: Outputs, count: int, at_once: int) -> None:
    with small.create(1) as output:
        for start in range(0, count, at_once):
            output.write(lines(min(at_once, count - start), start))
            assert small.path(1).stat().st_size <= 400
    kept = small.path(1).read_bytes()
    head, middle, tail = kept[:100], *kept[100:].split(b" ...]\n", 1)
    assert head == lines(10)
    assert lines(count).endswith(tail)
    assert len(tail) >= 100
    assert middle == f"\n[... {count * 10 - len(head) - len(tail):,} bytes cut".encode()
    assert os.listdir(small.path(1).parent) == ["1.log"]


def test_an_output_of_another_runs_number_goes(outputs: Outputs) -> None:
    with outputs.create(1) as old:
        old.write(b"old")
    with outputs.create(1) as new:
        new.write(b"new")
    assert outputs.path(1).read_bytes() == b"new"


def test_a_link_in_place_of_an_output_is_not_followed(outputs: Outputs, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    outputs.path(1).parent.mkdir()
    outputs.path(1).symlink_to(victim)
    assert list(outputs.end(1, 10)) == []
    with outputs.create(1) as output:
        output.write(b"mine")
    assert victim.read_text() == "untouched"
    assert outputs.path(1).read_bytes() == b"mine"


def test_a_folder_that_cannot_be_made_costs_only_the_output(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with Outputs(tmp_path / "runs").create(1) as output:
        output.write(b"12345")
    assert output.trouble == "5 bytes of its output were lost: File exists"
    with Outputs(tmp_path / "runs").create(1) as output:
        output.write(b"1")
    assert output.trouble == "1 byte of its output was lost: File exists"


@pytest.fixture
def full_at_50_bytes() -> Iterator[None]:
    """No file of this process grows beyond 50 bytes, as on a full disk; lifted at the end."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("full_at_50_bytes")
def test_what_a_full_disk_does_not_take_is_counted_and_told_when_there_is_room_again(outputs: Outputs) -> None:
    with outputs.create(1) as output:
        output.write(b"x" * 40)
        output.write(b"y" * 40)
        output.write(b"z" * 40)
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        output.write(b"after\n")
    assert output.trouble == "70 bytes of its output were lost: File too large"
    kept = outputs.path(1).read_bytes()
    assert kept == b"x" * 40 + b"y" * 10 + b"\n[... 70 bytes lost: File too large ...]\nafter\n"


def follow(outputs: Outputs, output: OutputFile, writes: list[bytes]) -> bytes:
    """What somebody sees who looks before the first write and after each."""
    left = list(writes)

    def write_next() -> None:
        output.write(left.pop(0))

    return b"".join(outputs.follow(1, lambda: not left, write_next))


def test_a_follower_sees_all_that_is_written_and_then_the_end(outputs: Outputs) -> None:
    with outputs.create(1) as output:
        assert follow(outputs, output, [b"one\n", b"two\n", b"three\n"]) == b"one\ntwo\nthree\n"


def test_a_follower_misses_nothing_although_the_middle_is_cut_meanwhile(small: Outputs) -> None:
    with small.create(1) as output:
        assert follow(small, output, [lines(5, start) for start in range(0, 500, 5)]) == lines(500)


def test_who_follows_a_run_without_output_waits_for_its_end(outputs: Outputs) -> None:
    looks = iter([False, False, True])
    assert list(outputs.follow(1, lambda: next(looks), lambda: None)) == []


def test_the_end_of_an_output(outputs: Outputs) -> None:
    with outputs.create(1) as output:
        output.write(b"first\nlast\n")
    assert outputs.end(1, 5) == b"last\n"
    assert outputs.end(1, 500) == b"first\nlast\n"
    assert outputs.end(2, 5) == b""


def test_outputs_go_with_their_runs_and_nothing_else_goes(outputs: Outputs) -> None:
    for number in (1, 2, 3):
        outputs.create(number).write(b"x")
    foreign = [outputs.path(1).with_name(name) for name in ("notes.log", "1.log.new", "1.txt")]
    for path in foreign:
        path.write_text("x")
    assert outputs.sweep(lambda: {2}) == 2
    assert sorted(os.listdir(outputs.path(1).parent)) == ["1.log.new", "1.txt", "2.log", "notes.log"]
    assert Outputs(outputs.path(1) / "none").sweep(set) == 0


def test_an_output_that_cannot_be_deleted_holds_up_no_other(outputs: Outputs) -> None:
    for number in range(1, 9):
        outputs.create(number).write(b"x")
    for number in (2, 4, 6, 8):
        outputs.path(number).unlink()
        outputs.path(number).mkdir()
    assert outputs.sweep(set) == 4
    assert sorted(os.listdir(outputs.path(1).parent)) == ["2.log", "4.log", "6.log", "8.log"]
