"""notification, imessage and Apple Mail: what the programs are given, and what their failures become."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from jarvis_trio.delivery import Message
from jarvis_trio.errors import DeliveryError
from tests.support.cli_world import eventually
from tests.support.delivery_fakes import HOSTILE, MESSAGE, Programs
from tests.support.processes import lives


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path)


def script_and_data(programs: Programs) -> tuple[str, list[str]]:
    [call] = programs.calls("osascript")
    assert call["argv"][0] == "-e"
    # The first argument is ours: osascript takes options until then, also `-e`.
    assert call["argv"][2] == "jarvis"
    assert call["stdin"] == ""
    return call["argv"][1], call["argv"][3:]


def test_macos_shows_a_notification_with_data_as_arguments(programs: Programs) -> None:
    programs.add("osascript")
    account = programs.channels("darwin").send("notification", {"sound": "Ping"}, MESSAGE)
    script, data = script_and_data(programs)
    assert "display notification theBody with title theTitle sound name theSound" in script
    assert data == ["Task: backup", "files: 12", "Ping"]
    assert "Notification Centre" in account


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_a_part_of_the_script_or_of_a_command(programs: Programs, text: str) -> None:
    programs.add("osascript")
    programs.add("notify-send")
    told = Message(text, "executed", f"{text}\x00\x07\n{text}", "now")
    config = {"title_template": "$task_name", "body_template": "$result"}
    programs.channels("darwin").send("notification", config, told)
    programs.channels("linux").send("notification", config, told)
    script, data = script_and_data(programs)
    assert text not in script
    assert data[:2] == [text, f"{text}\n{text}"]
    [call] = programs.calls("notify-send")
    body = f"{text}\n{text}".replace("&", "&amp;").replace("\\", "\\\\")  # which notify-send un-escapes
    assert call["argv"] == ["--app-name=Jarvis", "--", text, body]
    assert not list(programs.folder.glob("**/pwned"))
    assert not Path("pwned").exists()


def test_linux_gets_a_body_without_markup(programs: Programs) -> None:
    programs.add("notify-send")
    assert programs.channels("linux").send("notification", {"body_template": '<a href="x">&'}, MESSAGE)
    [call] = programs.calls("notify-send")
    assert call["argv"][-1] == '&lt;a href="x"&gt;&amp;'


def test_notify_shows_a_notification_at_once(programs: Programs) -> None:
    programs.add("notify-send")
    programs.channels("linux").notify("Alert:\nrule", "3 found\x1b[2J")
    [call] = programs.calls("notify-send")
    assert call["argv"][-2:] == ["Alert: rule", "3 found"]


def test_a_program_runs_in_the_environment_that_the_channels_were_given(programs: Programs) -> None:
    programs.add("notify-send")
    programs.channels("linux", DBUS_SESSION_BUS_ADDRESS="unix:path=/run/bus").notify("a", "b")
    [call] = programs.calls("notify-send")
    assert call["environment"]["DBUS_SESSION_BUS_ADDRESS"] == "unix:path=/run/bus"


def test_a_machine_without_notify_send_says_what_to_install(programs: Programs) -> None:
    with pytest.raises(DeliveryError, match=r"notify-send is not on PATH; install it .*libnotify-bin"):
        programs.channels("linux").notify("a", "b")


@pytest.mark.usefixtures("children_are_reaped_by_nobody")
@pytest.mark.parametrize("end", ["exit 0", "exit 1"])
def test_a_program_whose_end_nobody_knows_counts_as_failed(programs: Programs, end: str) -> None:
    programs.add("notify-send", end)
    with pytest.raises(DeliveryError, match="nobody knows how notify-send ended"):
        programs.channels("linux").notify("a", "b")


def test_a_machine_without_a_session_says_so(programs: Programs) -> None:
    programs.add("notify-send", "echo 'Cannot autolaunch D-Bus' >&2; exit 1")
    with pytest.raises(DeliveryError, match=r"exit status 1: Cannot autolaunch D-Bus; .*DBUS_SESSION_BUS_ADDRESS"):
        programs.channels("linux").notify("a", "b")


@pytest.mark.parametrize(
    ("config", "data"),
    [
        ({"recipient": "+15550100"}, ["recipient", "+15550100"]),
        ({"recipient": "+15550100", "chat_identifier": ""}, ["recipient", "+15550100"]),
        ({"recipient": "+15550100", "chat_identifier": "chat42"}, ["chat_identifier", "chat42"]),
        ({"chat_identifier": "iMessage;+;chat42"}, ["chat_identifier", "iMessage;+;chat42"]),
        ({"recipient": "-e x\n"}, ["recipient", "-e x"]),
    ],
)
def test_an_imessage_goes_to_the_chat_or_else_to_the_recipient(
    programs: Programs, config: dict[str, str], data: list[str]
) -> None:
    programs.add("osascript")
    account = programs.channels("darwin").send("imessage", {**config, "body_template": "$task_name\n$result"}, MESSAGE)
    script, given = script_and_data(programs)
    assert given == [*data, "backup\nfiles: 12"]
    assert "participant theTarget of theAccount" in script
    assert data[1] in account


def test_an_imessage_to_oneself_goes_to_the_handle_that_is_set(programs: Programs) -> None:
    programs.add("osascript")
    account = programs.channels("darwin", JARVIS_IMESSAGE_SELF="me@example.org").send(
        "imessage", {"recipient": "self"}, MESSAGE
    )
    assert script_and_data(programs)[1] == ["recipient", "me@example.org", "files: 12"]
    assert account == "handed to Messages for me@example.org"
    with pytest.raises(DeliveryError, match="JARVIS_IMESSAGE_SELF is not set; set it in the environment"):
        programs.channels("darwin").send("imessage", {"recipient": "self"}, MESSAGE)


def test_an_imessage_about_a_failure_names_the_task(programs: Programs) -> None:
    programs.add("osascript")
    told = Message("backup", "error", "disk full", "now")
    programs.channels("darwin").send("imessage", {"recipient": "+15550100"}, told)
    assert script_and_data(programs)[1][-1] == "backup: error\ndisk full"


def test_imessage_elsewhere_says_that_it_needs_macos(programs: Programs) -> None:
    with pytest.raises(DeliveryError, match=r"^imessage: .*needs macOS"):
        programs.channels("linux").send("imessage", {"recipient": "+15550100"}, MESSAGE)


def test_without_an_smtp_url_a_mail_goes_by_apple_mail(programs: Programs) -> None:
    programs.add("osascript")
    config = {"to": "a@example.org, B <b@example.org>", "subject_template": "S\n$task_name", "body_template": "$result"}
    account = programs.channels("darwin").send("email", config, MESSAGE)
    script, data = script_and_data(programs)
    assert 'tell application "Mail"' in script
    assert data == ["S backup", "files: 12", "a@example.org", "b@example.org"]
    assert account == "handed to Mail for a@example.org, b@example.org"


def test_without_an_smtp_url_and_apple_mail_the_setting_is_named(programs: Programs) -> None:
    with pytest.raises(DeliveryError, match="set JARVIS_SMTP_URL in the environment, as in smtp://"):
        programs.channels("linux").send("email", {"to": "a@example.org"}, MESSAGE)


def test_a_missing_consent_names_the_pane_of_system_settings(programs: Programs) -> None:
    programs.add("osascript", "echo 'execution error: Not authorized to send Apple events (-1743)' >&2; exit 1")
    with pytest.raises(DeliveryError, match="System Settings > Privacy & Security > Automation"):
        programs.channels("darwin").send("imessage", {"recipient": "+15550100"}, MESSAGE)


@pytest.mark.slow
def test_a_program_that_hangs_is_killed_with_its_children(programs: Programs) -> None:
    child = programs.folder / "osascript.child"
    programs.add("osascript", 'sleep 600 & echo $! > "$0.child"; wait')
    for seconds in (1, 5, 25):  # a busy machine may take its time to start it
        with pytest.raises(DeliveryError, match=f"osascript did not end within {seconds} s and was killed"):
            programs.channels("darwin", timedelta(seconds=seconds)).notify("a", "b")
        if child.exists():
            break
    pid = int(child.read_text())
    eventually(lambda: not lives(pid))


def test_a_grandchild_that_holds_the_output_does_not_hold_the_delivery(programs: Programs) -> None:
    programs.add("notify-send", 'sleep 600 & echo $! > "$0.child"; exit 0')
    programs.channels("linux").notify("a", "b")
    grandchild = int((programs.folder / "notify-send.child").read_text())
    assert lives(grandchild)
    os.kill(grandchild, signal.SIGKILL)


def test_a_complaint_of_any_size_and_bytes_becomes_one_line(programs: Programs) -> None:
    programs.add("notify-send", "head -c 1000000 /dev/zero | tr '\\0' '\\377' >&2; printf '\\033[2J\\n' >&2; exit 3")
    with pytest.raises(DeliveryError, match="exit status 3") as caught:
        programs.channels("linux").notify("a", "b")
    assert len(str(caught.value)) <= 500
    assert str(caught.value).isprintable()
