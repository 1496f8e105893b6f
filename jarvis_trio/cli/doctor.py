"""`jarvis-trio doctor`."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import click

from jarvis_trio.app import make_channels, make_handlers
from jarvis_trio.approvals import Approvals
from jarvis_trio.cli.launchd import agent_as_installed, find_launchctl
from jarvis_trio.cli.output import Cell, Column, Fit, json_option, print_json, print_table, say
from jarvis_trio.cli.session import Session
from jarvis_trio.doctor.daemon import check_agent, check_closed_folders, check_daemon, runs_application
from jarvis_trio.doctor.database import RESTORE, check_database, check_integrity, check_users
from jarvis_trio.doctor.files import check_inbox, check_logs, check_permissions, check_secrets
from jarvis_trio.doctor.findings import Finding, Level, failed, guarded, size_words
from jarvis_trio.doctor.machine import check_clock, check_disk, check_program, check_zone
from jarvis_trio.doctor.tasks import (
    check_commands,
    check_delivery,
    check_handlers,
    check_schedules,
    check_troubles,
    check_undelivered,
)
from jarvis_trio.errors import JarvisError
from jarvis_trio.launchd.operations import status
from jarvis_trio.launchd.plist import SEARCH_PATH, Agent
from jarvis_trio.lock import Holder, holder
from jarvis_trio.settings import TABLE, Settings
from jarvis_trio.store import MemoryStore
from jarvis_trio.words import counted

_MOST_OF_A_KIND = 10
_SLOW_BYTES = 50_000_000
_STYLES = {Level.FINE: "", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}
_SETTING = "set it to what is allowed, or unset it"
_PERMISSION = "give yourself the permission that is missing"


@click.command()
@json_option
@click.pass_obj
def doctor(session: Session, as_json: bool) -> None:
    """Look for what is wrong with this set-up, and say what mends it.

    It changes nothing. The exit code is 1 where there is a problem, and 0 where
    all is fine or there are warnings only.

    \b
    Example:
      jarvis-trio doctor
      jarvis-trio doctor --json
    """
    findings = list(_Examination(session).findings())
    count = Counter(finding.level for finding in findings)
    if as_json:
        print_json(
            {
                "ok": not count[Level.PROBLEM],
                "findings": [asdict(finding) for finding in findings],
                "settings": _settings_json(session),
            }
        )
    else:
        _print(session, findings)
        say(f"{_counted_or_no(count[Level.PROBLEM], 'problem')}, {_counted_or_no(count[Level.WARNING], 'warning')}.")
    raise click.exceptions.Exit(int(bool(count[Level.PROBLEM])))
