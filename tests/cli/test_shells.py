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
source ./script
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
def test_a_name_that_bash_completes_is_a_word_and_does_not_run(
    evil: Cli, program: Program, caller: Path, tmp_path: Path
) -> None:
    (tmp_path / "script").write_text(program("completion", "bash").out)
    (tmp_path / "xylophone").touch()
    environment = program.environment | {"PATH": f"{caller}:{program.environment['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", COMPLETE_AND_RUN], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == sorted(EVIL), done
    assert not (tmp_path / "pwned").exists()


@pytest.fixture
def caller(program: Program, tmp_path: Path) -> Path:
    """`jarvis-trio` as a shell finds it: a folder for its PATH."""
    caller = tmp_path / "bin" / "jarvis-trio"
    caller.parent.mkdir()
    caller.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m jarvis_trio "$@"\n')
    caller.chmod(0o755)
    return caller.parent


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
def test_a_name_that_fish_completes_is_whole(cli: Cli, program: Program, caller: Path, tmp_path: Path) -> None:
    for name in ("x", "x,y,$(touch pwned)"):
        cli.ok("add", name, "--every", "1h", "--handler", "alert_eval")
    (tmp_path / "script").write_text(program("completion", "fish").out)
    environment = program.environment | {"PATH": f"{caller}:{program.environment['PATH']}"}
    words = ["fish", "--no-config", "-c", "source ./script; complete -C 'jarvis-trio show x'"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["x", "x,y,$(touch pwned)"], done


def test_the_script_for_fish_cuts_no_word_at_its_commas(cli: Cli) -> None:
    script = cli.ok("completion", "fish")
    assert 'string split -m1 ","' in script
    assert script.count("string split") == 1


def test_what_is_harmless_everywhere_is_not_quoted() -> None:
    from click.shell_completion import CompletionItem  # noqa: PLC0415  # as the program does

    bash = QuotingBash(None, {}, "jarvis-trio", "_JARVIS_TRIO_COMPLETE")  # type: ignore[arg-type]  # asked for no words
    assert bash.format_completion(CompletionItem("Europe/Berlin")) == "plain,Europe/Berlin"
    assert bash.format_completion(CompletionItem("Über-Nacht_2")) == "plain,Über-Nacht_2"
