"""What is completed in real shells: a name of a task is a word there, and never code."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jarvis_trio.cli.shells import QuotingBash
from tests.support.cli_world import Cli, Program

EVIL = ["x$(touch pwned)", "x`touch pwned`", "x;touch pwned", "x'$(touch pwned)'", 'x"$(touch pwned)"', "x*", "x y"]

COMPLETE_AND_RUN = r"""
shopt -u progcomp_alias
source script
COMP_WORDS=(jarvis-trio show x) COMP_CWORD=2
_jarvis_trio_completion jarvis-trio
for word in "${COMPREPLY[@]}"; do
    eval "printf '%s\n' $word"
done
"""


@pytest.fixture
def evil(cli: Cli) -> Cli:
    """A database in which another program wrote names that a shell would run."""
    for number, name in enumerate(EVIL):
        cli.ok("add", f"task {number}", "--every", "1h", "--handler", "alert_eval")
        cli.change(f"task {number}", name=name)
    return cli


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_a_name_that_bash_completes_is_a_word_and_does_not_run(evil: Cli, program: Program, tmp_path: Path) -> None:
    (tmp_path / "script").write_text(program("completion", "bash").out)
    (tmp_path / "xylophone").touch()
    caller = tmp_path / "jarvis-trio"
    caller.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m jarvis_trio "$@"\n')
    caller.chmod(0o755)
    environment = program.environment | {"PATH": f"{tmp_path}:{program.environment['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", COMPLETE_AND_RUN], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == sorted(EVIL), done
    assert not (tmp_path / "pwned").exists()


def test_what_is_harmless_everywhere_is_not_quoted() -> None:
    from click.shell_completion import CompletionItem  # noqa: PLC0415  # as the program does

    bash = QuotingBash(None, {}, "jarvis-trio", "_JARVIS_TRIO_COMPLETE")  # type: ignore[arg-type]  # asked for no words
    assert bash.format_completion(CompletionItem("Europe/Berlin")) == "plain,Europe/Berlin"
    assert bash.format_completion(CompletionItem("Über-Nacht_2")) == "plain,Über-Nacht_2"
