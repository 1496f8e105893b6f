"""The documents hold: their code runs, their commands parse, their links lead somewhere, nothing is undocumented.

The commands of README.md, docs/operations.md and docs/migration.md are run as well, in the tests of those guides.
The others are only parsed, for they install packages, send mail or start the machine's launchd or systemd.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import click
import pytest

from docs.make_commands import PAGE
from jarvis_trio.cli import program
from jarvis_trio.delivery import CHANNEL_NAMES, Channels
from jarvis_trio.models import HandlerContext, RunStatus
from jarvis_trio.store import schema

CHECKOUT = Path(__file__).parents[2]
PAGES = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/*.md"), *CHECKOUT.glob("examples/*.md")])
PROGRAM = "jarvis-trio"

Parse = Callable[[list[str]], None]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))

_BLOCK = re.compile(r"^( *)```(?P<language>\w+)\n(?P<text>.*?)^\1```$", re.M | re.S)
_INLINE = re.compile(rf"`({PROGRAM} [a-z].*?)`")
_LINK = re.compile(r"\]\((?!https?://|mailto:)(?P<file>[^)#]*)(?:#(?P<heading>[^)]*))?\)")
_HEADING = re.compile(r"^#+ (.+)$", re.M)
_OPERATORS = set("|&;()<>")


class Block(NamedTuple):
    """A fenced block, and the page and line where it stands."""

    place: str
    language: str
    text: str


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _BLOCK.sub("", page.read_text())


def blocks(*languages: str) -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in _BLOCK.finditer(text):
            place = f"{page.relative_to(CHECKOUT)}:{text.count(chr(10), 0, match.start('text'))}"
            if match["language"] in languages:
                found.append(Block(place, match["language"], dedent(match["text"])))
    return found


def each(found: list[Block]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", found, ids=[block.place for block in found])


@each(blocks("python"))
def test_python_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if "def test_" in block.text:
        run_tests(block.text, tmp_path)
    else:
        exec(compile(block.text, block.place, "exec", dont_inherit=True), {"__name__": "documented"})


def run_tests(text: str, folder: Path) -> None:
    """Run the tests in a block with pytest, as a reader would."""
    (folder / "conftest.py").write_text('pytest_plugins = ["jarvis_trio.pytest_plugin"]\n')
    (folder / "test_documented.py").write_text(text)
    start = f"import sys; sys.path.insert(0, {str(CHECKOUT)!r}); import pytest; sys.exit(pytest.main())"
    options = ("-q", "-p", "no:cacheprovider")
    done = subprocess.run([sys.executable, "-c", start, *options], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout


@each(blocks("toml"))
def test_toml_can_be_read(block: Block) -> None:
    tomllib.loads(block.text)


@each(blocks("json"))
def test_a_channel_takes_its_configuration(block: Block) -> None:
    name, line = block.place.split(":")
    above = "\n".join((CHECKOUT / name).read_text().splitlines()[: int(line)])
    channel = re.findall(r"^## `(\w+)`$", above, re.M)[-1]
    Channels({}, None).check(channel, json.loads(block.text))


@each([block for block in blocks("sh") if "python -c" in block.text])
def test_an_example_runs_from_its_folder(block: Block) -> None:
    folder = (CHECKOUT / block.place).parent
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    script = f"set -eu\n{block.text}"
    subprocess.run(["/bin/sh", "-c", script], cwd=folder, env=os.environ | {"PATH": path}, check=True, timeout=180)


def invocations(block: Block) -> Iterator[list[str]]:
    """The arguments of each call of the program in a block of shell."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language != "sh":  # between what is printed: after a prompt, or indented as in a command's help
        prompt = "$ " if block.language == "console" else "    "
        lines = [line.removeprefix(prompt) for line in lines if line.startswith(prompt)]
    for line in lines:
        if PROGRAM in line or "jarvis_trio" in line:
            yield from calls(line)


def calls(line: str) -> Iterator[list[str]]:
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    for is_operator, group in groupby(words, key=lambda word: set(word) <= _OPERATORS):
        command = [word for word in group if not is_operator]
        while command and re.match(r"\w+=", command[0]):  # variables that are set for this command
            del command[0]
        if command and Path(command[0]).name == PROGRAM:
            yield command[1:]
        elif command[1:3] == ["-m", "jarvis_trio"]:
            yield command[3:]


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch) -> Parse:
    """Parses arguments as the program does, and stops before it does anything."""
    monkeypatch.setattr(click.Command, "invoke", lambda command, context: None)

    def parse(arguments: list[str]) -> None:
        try:
            program.main(arguments, PROGRAM, standalone_mode=False)
        except click.BadParameter as error:
            # The files of the reader are not here.
            if error.param is None or not isinstance(error.param.type, click.Path | click.File):
                raise

    return parse


@each([block for block in blocks("console", "sh", "text") if any(invocations(block))])
def test_commands_and_options_exist(block: Block, parse: Parse) -> None:
    for arguments in invocations(block):
        parse(arguments)


@each_page
def test_commands_and_options_named_in_the_text_exist(page: Path, parse: Parse) -> None:
    for found in _INLINE.findall(prose(page)):
        with suppress(click.MissingParameter, click.exceptions.NoArgsIsHelpError):  # just a name, and so no full call
            parse(shlex.split(found)[1:])


def test_every_command_and_option_is_in_the_reference() -> None:
    # In a process of its own: click remembers the names of --help from the first test that used a command.
    code = "from docs.make_commands import reference; print(reference(), end='')"
    written = subprocess.check_output([sys.executable, "-c", code], cwd=CHECKOUT, text=True)
    assert PAGE.read_text() == written, "run `make docs`"


def test_the_glossary_says_where_each_word_stands() -> None:
    text = (CHECKOUT / "docs/glossary.md").read_text()
    columns = {f"{table}.{column}" for table, column in schema_columns()}
    assert set(re.findall(r"\b(?:task_\w+|scheduled_tasks)\.\w+", text)) <= columns
    fields = {name for name in dir(HandlerContext) if not name.startswith("_")}
    assert set(re.findall(r"`context\.(\w+)`", text)) <= fields
    assert set(re.findall(r"--[a-z-]+", text)) <= set(re.findall(r"--[a-z-]+", PAGE.read_text()))
    assert {status.value for status in RunStatus} <= set(re.findall(r"`(\w+)`", text))
    assert set(CHANNEL_NAMES) <= set(re.findall(r"`(\w+)`", text))


def test_the_readme_leads_to_every_page() -> None:
    linked = {link["file"] for link in _LINK.finditer(prose(CHECKOUT / "README.md"))}
    assert {f"docs/{page.name}" for page in CHECKOUT.glob("docs/*.md")} <= linked


def test_contributing_names_what_is_there() -> None:
    text = prose(CHECKOUT / "CONTRIBUTING.md")
    files = {name for name in re.findall(r"`([a-z_]+/[\w/]*\.?\w+)`", text) if "NAME" not in name}
    assert {name for name in files if not any((CHECKOUT / top / name).exists() for top in ("", "jarvis_trio"))} == set()
    source = "\n".join(path.read_text() for path in (CHECKOUT / "jarvis_trio").rglob("*.py"))
    assert {name for name in re.findall(r"`([A-Z][A-Z_]{4,})`", text) if f"{name}" not in source} == set()


def schema_columns() -> list[tuple[str, str]]:
    """The tables and columns of a new database."""
    return [(name, column) for name, table in schema.shape().tables.items() for column in table.columns]


def slug(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    words = re.sub(r"[`*]|\]\(.*?\)|\[", "", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.finditer(prose(page)):
        target = page.parent / link["file"] if link["file"] else page
        assert target.exists(), link[0]
        if link["heading"]:
            assert link["heading"] in map(slug, _HEADING.findall(prose(target))), link[0]


@pytest.mark.skipif(shutil.which("git") is None, reason="git tells which files are ours")
def test_no_file_names_its_machine_or_a_package_index() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=CHECKOUT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("not a checkout of git")
    unwanted = (f"{CHECKOUT}/", f"{Path.home()}/", "py" + "pi.org", "python" + "hosted.org")
    named = []
    for name in listed.stdout.splitlines():
        text = (CHECKOUT / name).read_bytes().decode(errors="replace") if (CHECKOUT / name).is_file() else ""
        named += [(name, place) for place in unwanted if place in text]
    assert named == []
