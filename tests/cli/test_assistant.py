"""`rules` and `events`: the assistant's own tables, in a person's hands."""

from __future__ import annotations

import pytest

from tests.support.cli_world import Cli, execute


def test_a_rule_is_added_listed_shown_paused_and_removed(cli: Cli) -> None:
    assert "There are no rules yet" in cli.ok("rules", "list")
    out = cli.ok("rules", "add", "Late work", "--type", "overdue_delegation", "--description", "ask about it")
    assert out == (
        "Late work\n"
        "  description: ask about it\n"
        "  looks for:   overdue_delegation\n"
        '  condition:   {"days_overdue": 1}\n'
        "  triggered:   never\n"
        "  made:        Mon 2026-03-02 09:00 UTC\n"
    )
    (rule,) = cli.json("rules", "list")
    assert (rule["name"], rule["condition"], rule["enabled"]) == ("Late work", {"days_overdue": 1}, True)
    assert cli.json("rules", "pause", "Late work")["enabled"] is False
    assert "paused" in cli.ok("rules", "list")
    assert cli.json("rules", "resume", "Late work") == rule
    assert cli.ok("rules", "remove", "Late work") == "Removed the rule Late work.\n"
    assert cli.json("rules", "list") == []


def test_a_rule_that_was_added_is_evaluated(cli: Cli) -> None:
    cli.ok("rules", "add", "Late", "--type", "overdue_delegation", "--condition", '{"days_overdue": 3}')
    execute(cli.path, "INSERT INTO delegations (task, status, due_date) VALUES ('report', 'active', '2026-02-01')")
    cli.ok("add", "alerts", "--every", "2h", "--handler", "alert_eval")
    cli.ok("run-now", "alerts")
    assert cli.json("rules", "show", "Late")["last_triggered_at"] is not None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", " ", "--type", "stale_backup"], "not a name for a rule: ' '"),
        (["add", "a\nb", "--type", "stale_backup"], "not a name for a rule: 'a"),
        (["add", "x", "--type", "dance"], "unknown type of rule 'dance'; the types are overdue_delegation"),
        (["add", "x", "--type", "stale_backup", "--condition", '{"days": 1}'], "has one number, max_age_hours"),
        (["add", "x", "--type", "stale_backup", "--condition", '{"max_age_hours": true}'], "has one number"),
        (["add", "x", "--type", "stale_backup", "--condition", "[]"], "--condition must be a JSON object"),
        (["add", "taken", "--type", "stale_backup"], "a rule named 'taken' exists"),
        (["show", "tacken"], "no rule is named 'tacken'; did you mean 'taken'?"),
        (["remove", "none"], "no rule is named 'none'"),
    ],
)
def test_what_makes_no_sense_of_a_rule_is_one_line(cli: Cli, words: list[str], said: str) -> None:
    cli.ok("rules", "add", "taken", "--type", "stale_backup")
    assert said in cli.fails("rules", *words)
    assert len(cli.json("rules", "list")) == 1


def test_a_rule_is_found_by_its_name_in_another_form_of_unicode(cli: Cli) -> None:
    cli.ok("rules", "add", "Cafe\u0301", "--type", "stale_backup")
    assert cli.json("rules", "show", "Caf\xe9")["name"] == cli.json("rules", "show", "Cafe\u0301")["name"] == "Caf\xe9"


@pytest.mark.parametrize("words", [["done", "1", "99", "2"], ["remove", "1", "2", "99"]])
def test_of_several_events_all_are_changed_or_none(cli: Cli, words: list[str]) -> None:
    for kind in ("push", "pull"):
        cli.ok("events", "add", "github", kind)
    assert "no event has the number 99" in cli.fails("events", *words)
    assert [event["status"] for event in cli.json("events", "list")] == ["pending", "pending"]


@pytest.mark.parametrize("words", [["", "push"], ["github", " "]])
def test_an_event_has_a_source_and_a_type(cli: Cli, words: list[str]) -> None:
    assert "an event has a source and a type" in cli.fails("events", "add", *words)
    assert cli.json("events", "list") == []


def test_times_are_shown_as_people_read_them_and_others_as_they_are(cli: Cli) -> None:
    cli.ok("events", "add", "github", "push")
    cli.ok("events", "add", "github", "pull")
    execute(cli.path, "UPDATE webhook_events SET received_at = 'long ago' WHERE id = 2")
    out = cli.ok("events", "list")
    assert "Mon 2026-03-02 09:00 UTC" in out
    assert "long ago" in out


@pytest.mark.law(8)
def test_a_rule_of_another_program_that_nobody_can_read_is_listed(cli: Cli) -> None:
    execute(cli.path, "INSERT INTO alert_rules (name, alert_type, condition, enabled) VALUES (x'00ff', 'x', '{', 'no')")
    assert cli.json("rules", "list")[0]["condition"] == "{"
    cli.ok("rules", "list")


def test_an_event_is_added_listed_shown_done_and_removed(cli: Cli) -> None:
    assert cli.ok("events", "list") == "There are no such events.\n"
    out = cli.ok("events", "add", "github", "push", "--payload", '{"ref": "main"}')
    assert out.startswith("Event 1: push from github, pending\n")
    assert "ref: main" in out
    cli.ok("events", "add", "mail", "new")
    assert [row["id"] for row in cli.json("events", "list")] == [2, 1]
    assert cli.ok("events", "done", "1", "2") == "Event 1 is processed.\nEvent 2 is processed.\n"
    assert cli.json("events", "list", "--status", "pending") == []
    assert cli.json("events", "show", "1")["payload"] == {"ref": "main"}
    assert cli.json("events", "done", "2", "--failed")[0]["status"] == "failed"
    assert "processed" in cli.ok("events", "list")
    assert cli.ok("events", "remove", "1", "2") == "Removed event 1.\nRemoved event 2.\n"
    assert "no event has the number 1" in cli.fails("events", "show", "1")


def test_events_that_are_removed_can_be_had_as_json(cli: Cli) -> None:
    for kind in ("push", "pull"):
        cli.ok("events", "add", "github", kind)
    assert cli.json("events", "remove", "1", "2") == [{"removed": 1}, {"removed": 2}]
