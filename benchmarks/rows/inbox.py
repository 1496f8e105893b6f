"""Small JSON files that lie in the inbox become rows of `webhook_events` and are moved to `processed/`, each exactly
once even if the process dies at any point. No peer does this. Resident memory of the process after the poll, against
that of a poll of a hundredth as many files."""

from __future__ import annotations

from typing import Any

from benchmarks.environments import Environment
from benchmarks.results import Comparison, Goal, Series
from benchmarks.running import ask_in_folder

DOES = "webhook files that become rows, each exactly once"
SECONDS, QUICK_SECONDS = 35, 5

_FLAT_MIB = 32


def measure(quick: bool) -> list[Comparison]:
    """Files a second, and the memory that they take."""
    rounds, count = (2, 4_000) if quick else (2, 50_000)
    many = [_ingest(count) for _ in range(rounds)]
    few = _ingest(count // 100)
    a_second = Series("jarvis-trio", tuple(count / found["seconds"] for found in many))
    growth = Series("jarvis-trio", tuple((found["bytes_after"] - few["bytes_after"]) / 2**20 for found in many))
    return [
        Comparison(
            "inbox",
            "Webhook files ingested, each exactly once",
            "files a second",
            [a_second],
            [Goal("ingested", a_second.median, 3_000, "files a second", at_least=True)],
        ),
        Comparison(
            "inbox-memory",
            f"Memory of a poll of {count:,} files, beyond that of {count // 100:,}",
            "MiB",
            [growth],
            [Goal("more", growth.median, _FLAT_MIB, "MiB")],
        ),
    ]


def _ingest(count: int) -> dict[str, Any]:
    found: dict[str, Any] = ask_in_folder(Environment.OWN, "jarvis_inbox", "ingest", count=count)
    return found
