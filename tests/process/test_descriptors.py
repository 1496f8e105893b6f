"""The limit on open files, with real limits in processes of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
