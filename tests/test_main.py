"""Tests of a command as a process: the standard streams that it may have been started without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli_world import CHECKOUT
from tests.support.core_fakes import PATIENCE


def without(stream: str, data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a shell does whose user closed one of its streams."""
    words = [sys.executable, "-m", "jarvis_trio", *arguments]
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {stream}', "sh", *words],
        cwd=CHECKOUT,
        env={"JARVIS_DATA_DIR": str(data)},
        capture_output=True,
        text=True,
        timeout=6 * PATIENCE,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stream", "said"), [("<&-", {"list": "webhook_poll"}), (">&-", {}), ("2>&-", {"list": "webhook_poll"})]
)
def test_a_closed_stream_harms_neither_the_command_nor_the_database(
    stream: str, said: dict[str, str], tmp_path: Path
) -> None:
    for command in ("init", "list", "status"):
        done = without(stream, tmp_path, command)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done
        assert said.get(command, "") in done.stdout
    assert (tmp_path / "memory.db").read_bytes().startswith(b"SQLite format 3")
