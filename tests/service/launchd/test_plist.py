"""The agent's property list, its template for people, and the systemd unit: contract tests."""

from __future__ import annotations

import configparser
import plistlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from jarvis_trio.errors import LaunchdError
from jarvis_trio.service.launchd.plist import Agent, installed_arguments, plist_path, property_list, read_plist, render

FOLDER = Path(__file__).parents[3] / "launchd"
TEMPLATE = FOLDER / "com.chg.jarvis-daemon.plist"
UNIT = FOLDER / "jarvis-daemon.service"
DOCUMENTATION = FOLDER.parent / "docs/launchd.md"

SETTINGS = {
    "JARVIS_DATA_DIR": "/Users/you/jarvis-trio/data",
    "MEMORY_DB_PATH": "/Users/you/jarvis-trio/data/memory.db",
    "DAEMON_TICK_INTERVAL_SECONDS": "60",
    "DAEMON_LOG_FILE": "/Users/you/jarvis-trio/data/jarvis-daemon.log",
    "DAEMON_MAX_CONCURRENT_TASKS": "4",
    "SCHEDULER_HANDLER_TIMEOUT_SECONDS": "300",
    "WEBHOOK_INBOX_DIR": "/Users/you/jarvis-trio/data/webhook-inbox",
    "JARVIS_HISTORY_DAYS": "90",
    "JARVIS_HISTORY_RUNS": "10000",
}
YOU = Agent(
    home=Path("/Users/you"),
    python=Path("/Users/you/jarvis-trio/.venv/bin/python"),
    working_directory=Path("/Users/you/jarvis-trio"),
    settings=SETTINGS,
)

# The keys of launchd.plist(5) that an agent may have, with the types that launchd reads.
LAUNCHD_KEYS: dict[str, type | tuple[type, ...]] = {
    "Label": str,
    "Program": str,
    "ProgramArguments": list,
    "WorkingDirectory": str,
    "EnvironmentVariables": dict,
    "RunAtLoad": bool,
    "KeepAlive": (bool, dict),
    "ThrottleInterval": int,
    "ExitTimeOut": int,
    "StandardInPath": str,
    "StandardOutPath": str,
    "StandardErrorPath": str,
    "ProcessType": str,
    "Umask": (int, str),
    "Nice": int,
    "LimitLoadToSessionType": (str, list),
    "AbandonProcessGroup": bool,
    "StartInterval": int,
    "StartCalendarInterval": (dict, list),
    "SoftResourceLimits": dict,
    "HardResourceLimits": dict,
    "LowPriorityIO": bool,
    "EnableTransactions": bool,
    "LegacyTimers": bool,
}
SESSION_TYPES = {"Aqua", "Background", "LoginWindow", "StandardIO", "System"}


@pytest.mark.parametrize("background", [False, True])
def test_each_key_is_one_of_launchds_and_has_its_type(background: bool) -> None:
    for key, value in property_list(YOU, background=background).items():
        assert isinstance(value, LAUNCHD_KEYS[key]), key
        # bool is an int to Python, and <true/> is no <integer> to launchd.
        assert not isinstance(value, bool) or LAUNCHD_KEYS[key] in (bool, (bool, dict)), key


def test_it_says_what_launchd_must_know() -> None:
    agent = property_list(YOU)
    assert agent["Label"] == "com.chg.jarvis-daemon"
    assert agent["ProgramArguments"] == ["/Users/you/jarvis-trio/.venv/bin/python", "-m", "jarvis_trio"]
    assert agent["KeepAlive"] is True
    assert agent["RunAtLoad"] is True
    assert agent["WorkingDirectory"] == "/Users/you/jarvis-trio"
    assert agent["ThrottleInterval"] >= 10
    assert "ProcessType" not in agent


def test_the_environment_holds_strings_alone_with_homebrew_on_the_path() -> None:
    carried = {"JARVIS_DATA_DIR": "/Users/you/state", "JARVIS_HISTORY_DAYS": "7"}
    environment = property_list(replace(YOU, environment=carried))["EnvironmentVariables"]
    assert {type(value) for item in environment.items() for value in item} == {str}
    assert {"/opt/homebrew/bin", "/usr/local/bin", "/usr/bin", "/bin"} <= set(environment["PATH"].split(":"))
    assert carried.items() <= environment.items()


def test_a_tick_has_time_to_finish_whichever_time_limit_is_the_longest() -> None:
    short = replace(YOU, settings={**YOU.settings, "SCHEDULER_HANDLER_TIMEOUT_SECONDS": "7"})
    assert property_list(YOU)["ExitTimeOut"] == 360
    assert property_list(short)["ExitTimeOut"] == 67
    assert property_list(replace(short, longest_timeout_seconds=3600))["ExitTimeOut"] == 3660


def test_launchds_logs_are_where_agents_may_write_and_are_not_the_programs_own() -> None:
    agent = property_list(YOU)
    paths = {agent["StandardOutPath"], agent["StandardErrorPath"]}
    assert {str(Path(path).parent) for path in paths} == {"/Users/you/Library/Logs/Jarvis"}
    assert len(paths) == 2
    assert YOU.settings["DAEMON_LOG_FILE"] not in paths


def test_only_without_a_gui_session_is_it_limited_to_the_background_one() -> None:
    assert "LimitLoadToSessionType" not in property_list(YOU)
    assert property_list(YOU, background=True)["LimitLoadToSessionType"] in SESSION_TYPES


def test_arguments_follow_the_module() -> None:
    agent = replace(YOU, arguments=("run", "--app-dir", "/Users/you/chief-of-staff"))
    assert property_list(agent)["ProgramArguments"][1:] == [
        "-m",
        "jarvis_trio",
        "run",
        "--app-dir",
        "/Users/you/chief-of-staff",
    ]


def test_a_name_with_the_characters_of_xml_comes_back_as_it_was() -> None:
    agent = replace(YOU, working_directory=Path("/Users/you/R&D <jarvis> \"ü\" 'x' ]]>"))
    assert plistlib.loads(render(agent)) == property_list(agent)


@pytest.mark.parametrize("name", ["line\x07bell", "undecodable \udcff", "no character \uffff", "no character \ufffe"])
def test_a_name_that_xml_cannot_hold_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(LaunchdError, match="the agent cannot be written as XML") as caught:
        render(replace(YOU, working_directory=Path("/Users/you") / name))
    assert "\n" not in str(caught.value)


def test_the_template_is_what_render_makes_for_its_placeholders() -> None:
    template = plistlib.loads(TEMPLATE.read_bytes())
    assert template == property_list(YOU)
    assert list(template) == list(property_list(YOU))


def test_the_documentation_gives_the_reason_for_each_key() -> None:
    rows = [line.split("|")[1] for line in DOCUMENTATION.read_text().splitlines() if line.startswith("| `")]
    documented = {key.strip(" `") for cell in rows for key in cell.split(",")}
    assert set(property_list(YOU, background=True)) <= documented


def test_the_template_says_each_key_once() -> None:
    """plistlib takes the last of two without a word."""
    for keys in _keys_of_dictionaries(ElementTree.parse(TEMPLATE).getroot()):
        assert len(keys) == len(set(keys)), keys


def _keys_of_dictionaries(root: ElementTree.Element) -> Iterator[list[str | None]]:
    for dictionary in root.iter("dict"):
        yield [key.text for key in dictionary.findall("key")]


@pytest.mark.skipif(shutil.which("plistutil") is None, reason="plistutil (Debian: libplist-utils) is not installed")
@pytest.mark.parametrize("source", ["template", "rendered"])
def test_another_reader_of_property_lists_reads_the_same(source: str, tmp_path: Path) -> None:
    """plistutil ends with 0 also when it fails, so its output is what counts."""
    read, written = TEMPLATE, tmp_path / "binary.plist"
    if source == "rendered":
        read = tmp_path / "rendered.plist"
        read.write_bytes(render(YOU))
    subprocess.run(["plistutil", "-i", read, "-o", written, "-f", "bin"], check=True, capture_output=True)
    assert written.read_bytes().startswith(b"bplist")
    assert plistlib.loads(written.read_bytes()) == property_list(YOU)


@pytest.mark.skipif(shutil.which("plutil") is None, reason="plutil is macOS's")
def test_macos_accepts_the_template() -> None:
    subprocess.run(["plutil", "-lint", TEMPLATE], check=True, capture_output=True)


@pytest.mark.parametrize("content", [b"", b"<plist><dict><key>", b"bplist00rubbish", b"<plist><array/></plist>"])
def test_a_plist_that_cannot_be_read_counts_as_empty(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.plist"
    path.write_bytes(content)
    assert read_plist(path) == {}


def test_what_is_installed_tells_its_arguments(tmp_path: Path) -> None:
    assert installed_arguments(tmp_path) is None
    plist_path(tmp_path).parent.mkdir(parents=True)
    plist_path(tmp_path).write_bytes(plistlib.dumps({"ProgramArguments": ["/bin/sh", "old-daemon.sh"]}))
    assert installed_arguments(tmp_path) is None
    plist_path(tmp_path).write_bytes(render(replace(YOU, arguments=("run", "--app-dir", "/opt/app"))))
    assert installed_arguments(tmp_path) == ("run", "--app-dir", "/opt/app")


@pytest.fixture
def unit() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    parser.read(UNIT)
    return parser


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """A value that it ignores is only a warning to it, so it must be silent too."""
    tmp_path.chmod(0o700)
    environment = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    command = ["systemd-analyze", "--user", "verify", str(UNIT)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    # It also tells of the machine's own units, which mind a long path of the runtime folder, say.
    told = [line for line in done.stderr.splitlines() if "jarvis" in line.partition(":")[0]]
    assert (done.returncode, done.stdout, told) == (0, "", [])


def test_the_unit_lets_the_tick_finish_and_the_daemon_come_back(unit: configparser.RawConfigParser) -> None:
    service = unit["Service"]
    assert service["KillMode"] == "mixed"
    assert service["Restart"] == "always"
    assert int(service["TimeoutStopSec"]) == property_list(YOU)["ExitTimeOut"]


def test_the_unit_runs_the_same_program_as_the_agent(unit: configparser.RawConfigParser) -> None:
    arguments = property_list(YOU)["ProgramArguments"]
    assert unit["Service"]["ExecStart"].replace("%h", "/Users/you").split() == ["/usr/bin/env", *arguments]
    assert unit["Service"]["WorkingDirectory"].replace("%h", "/Users/you") == property_list(YOU)["WorkingDirectory"]
