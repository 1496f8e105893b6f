"""The limit on open files, with real limits in processes of their own; and what is closed without a wait."""

from __future__ import annotations

import os
import resource
import select
import subprocess
import sys

import pytest

from jarvis_trio.process.descriptors import Tripwire, close_unawaited
from tests.support.core_fakes import PATIENCE

SCRIPT = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
from jarvis_trio.process.descriptors import ensure_descriptors
from jarvis_trio.errors import SettingError
try:
    ensure_descriptors()
except SettingError as error:
    print(error)
else:
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "said"),
    [
        (128, 4096, "1024"),
        (128, 256, "256"),
        (2048, 4096, "2048"),
        (32, 32, "this process may open 32 files at most; run: ulimit -n 1024"),
    ],
)
def test_a_limit_is_raised_as_far_as_may_be_or_refused(soft: int, hard: int, said: str) -> None:
    words = [sys.executable, "-c", SCRIPT, str(soft), str(hard)]
    assert subprocess.run(words, capture_output=True, text=True, check=True, timeout=180).stdout == f"{said}\n"


@pytest.mark.parametrize("files_that_may_be_opened", [None, 0])
def test_what_is_closed_without_a_wait_is_gone_here_and_soon_altogether(files_that_may_be_opened: int | None) -> None:
    """The end of a pipe shows both. With no descriptor left for a socket it is closed as usual."""
    reader, writer = os.pipe()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files_that_may_be_opened is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files_that_may_be_opened, hard))
    try:
        close_unawaited(writer)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(writer)
    assert select.select([reader], [], [], PATIENCE)[0]
    assert os.read(reader, 1) == b""
    os.close(reader)


@pytest.mark.law(4)
@pytest.mark.parametrize("taken", [False, True], ids=["closed", "taken by another file"])
def test_law_4_descriptors_that_others_have_closed_are_noticed(*, taken: bool) -> None:
    tripwire = Tripwire()
    assert not tripwire.is_cut()
    first, second = tripwire._ends
    os.close(first)
    os.close(second)
    other = os.open(os.devnull, os.O_RDONLY) if taken else None
    assert other in (None, first, second)
    assert tripwire.is_cut()
    if other is not None:
        os.close(other)
