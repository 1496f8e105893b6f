"""`jarvis-trio doctor`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict

import click

from jarvis_trio.cli.application import handler_options
from jarvis_trio.cli.examination import examine
from jarvis_trio.cli.output import Cell, Column, Fit, json_option, print_json, print_table, say
from jarvis_trio.cli.settings_table import print_settings
from jarvis_trio.doctor.findings import Finding, Level
from jarvis_trio.errors import JarvisError
from jarvis_trio.foreground.session import CommandSession
from jarvis_trio.notation.text import counted
from jarvis_trio.settings import Settings

_MOST_OF_A_KIND = 10
_STYLES = {Level.FINE: "", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}


@click.command()
@handler_options
@json_option
@click.pass_obj
def doctor(session: CommandSession, as_json: bool) -> None:
    """Find what is wrong with this set-up, and say how to fix it.

    It changes nothing. The exit code is 1 if there is a problem, and 0 if all
    is fine or there are only warnings.

    \b
    Example:
      jarvis-trio doctor
      jarvis-trio doctor --json
    """
    findings = list(examine(session))
    count = Counter(finding.level for finding in findings)
    settings = _settings_in_force(session)
    if as_json:
        found = [asdict(finding) for finding in findings]
        shown = settings.shown() if settings is not None else {}
        print_json({"ok": not count[Level.PROBLEM], "findings": found, "settings": shown})
    else:
        _print(findings, settings)
        say(f"{counted(count[Level.PROBLEM], 'problem')}, {counted(count[Level.WARNING], 'warning')}.")
    raise click.exceptions.Exit(int(bool(count[Level.PROBLEM])))


def _settings_in_force(session: CommandSession) -> Settings | None:
    try:
        return session.settings
    except JarvisError:
        return None


def _print(findings: list[Finding], settings: Settings | None) -> None:
    """All on one screen, the worst last: the eye ends there."""
    if settings is not None:
        print_settings(settings)
        say("")
    columns = (Column(""), Column("WHAT"), Column("FOUND", Fit.FOLD))
    print_table(columns, [row for level in Level for row in _rows([f for f in findings if f.level is level])])
    say("")


def _rows(findings: list[Finding]) -> Iterator[list[Cell]]:
    seen: Counter[str] = Counter()
    for finding in findings:
        seen[finding.subject] += 1
        if seen[finding.subject] <= _MOST_OF_A_KIND:
            style = _STYLES[finding.level]
            yield [Cell("" if not style else finding.level, style), Cell(finding.subject), Cell(finding.says)]
            if finding.fix:
                yield [Cell(""), Cell(""), Cell(f"-> {finding.fix}", "bold")]
    for subject, count in seen.items():
        if count > _MOST_OF_A_KIND:
            yield [Cell(""), Cell(subject), Cell(f"and {count - _MOST_OF_A_KIND} more; --json shows all", "dim")]
