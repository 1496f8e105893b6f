"""`deliver-test`: a sample goes out by the channels that tasks use."""

from __future__ import annotations

from pathlib import Path

import pytest

from jarvis_trio.delivery import CHANNEL_NAMES
from tests.support.cli_world import Cli
from tests.support.delivery_fakes import Programs


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """What shows notifications on macOS and on Linux, as programs that note what they are given."""
    programs = Programs(tmp_path / "bin")
    for name in ("osascript", "notify-send"):
        programs.add(name)
    monkeypatch.setenv("PATH", str(programs.folder))
    return programs


def sent(programs: Programs) -> list[str]:
    """The arguments of the one call."""
    [call] = [*programs.calls("osascript"), *programs.calls("notify-send")]
    words: list[str] = call["argv"]
    return words


def test_a_sample_is_sent_and_it_says_where_to(cli: Cli, programs: Programs) -> None:
    out = cli.ok("deliver-test", "notification")
    assert out.startswith("notification: ")
    assert out.count("\n") == 1
    assert "Task: deliver-test" in sent(programs)
    assert "message: a sample of what a task's result looks like" in sent(programs)


def test_the_configuration_is_used_as_a_tasks_would_be(cli: Cli, programs: Programs) -> None:
    config = '{"title_template": "$task_name at $timestamp"}'
    cli.ok("deliver-test", "notification", "--deliver-config", config)
    assert "deliver-test at 2026-03-02T09:00:00+00:00" in sent(programs)


def test_secrets_come_from_the_file_in_the_data_folder_and_are_not_shown(cli: Cli, programs: Programs) -> None:
    secrets = cli.data / "delivery-secrets.env"
    secrets.write_text("JARVIS_SMTP_URL=smtp://me:hunter2@127.0.0.1:1\nJARVIS_MAIL_FROM=me@example.org\n")
    secrets.chmod(0o600)
    said = cli.fails("deliver-test", "email", "--deliver-config", '{"to": "me@example.org"}')
    assert said.startswith("jarvis-trio: email: ")
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pigeon"], f"jarvis-trio: unknown channel 'pigeon'; use one of {', '.join(CHANNEL_NAMES)}"),
        (["emial"], "jarvis-trio: unknown channel 'emial'; did you mean 'email'? use one of notification, email, "),
        (["email"], "email: "),
        (["notification", "--deliver-config", "["], "--deliver-config is not JSON"),
        (["notification", "--deliver-config", "[]"], "--deliver-config must be a JSON object"),
    ],
)
def test_what_cannot_be_sent_is_one_line_and_exit_1(cli: Cli, arguments: list[str], said: str) -> None:
    assert said in cli.fails("deliver-test", *arguments)


def test_it_needs_no_database(cli: Cli, programs: Programs) -> None:
    cli.path.unlink()
    cli.ok("deliver-test", "notification")
    assert not cli.path.exists()
