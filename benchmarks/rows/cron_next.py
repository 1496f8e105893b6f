"""200 cron expressions from one instant in America/Denver, each package in a process of its own that has seen other
expressions before. Cold: parse it and find the next time, both for the first time. Warm: each of the four that follow.
The value of a round is the median over the expressions; the slowest is the one whose median over the rounds is highest.
The note says how often the packages agree about what is next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks import corpus
from benchmarks.environments import Environment
from benchmarks.results import Comparison, Goal, Series, in_rounds
from benchmarks.running import ask

DOES = "the next time of 200 cron expressions, in six packages"
SECONDS, QUICK_SECONDS = 12, 8


@dataclass(frozen=True, slots=True)
class Package:
    """A package that parses cron expressions."""

    key: str
    name: str
    environment: Environment
    offers: str


PACKAGES = (
    Package("jarvis_trio", "jarvis-trio", Environment.OWN, "Debian's law of clock changes"),
    Package("cronsim", "cronsim", Environment.PEERS, "Debian's law of clock changes"),
    Package("croniter", "croniter", Environment.PEERS, "its own law of clock changes"),
    Package("croniter_rs", "croniter-rs", Environment.PEERS, "in Rust; drops the zone, knows no clock changes"),
    Package("apscheduler", "APScheduler 3.11", Environment.PEERS, "no law of clock changes"),
    Package("cronstable", "cronstable", Environment.PEERS, "its own law of clock changes"),
)


def measure(quick: bool) -> list[Comparison]:
    """Microseconds for a next time, cold and warm, and the slowest of all."""
    rounds = 3 if quick else 5
    found: dict[str, list[list[dict[str, Any]]]] = {package.key: [] for package in PACKAGES}

    def run(package: Package) -> float:
        found[package.key].append(_ask(package))
        return 0.0

    in_rounds(PACKAGES, rounds, run)
    notes = [_agreement(found)]
    return [
        _comparison("cron-cold", "next_time, cold: parse included", "cold_us", found, notes),
        _comparison("cron-warm", "next_time, warm", "warm_us", found, []),
        _slowest(found),
    ]


def _ask(package: Package) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = ask(
        package.environment,
        "next_times",
        "measure",
        package=package.key,
        warm_up=corpus.WARM_UP,
        expressions=corpus.EXPRESSIONS,
        start=corpus.START,
        zone=corpus.ZONE,
    )
    return answers


def _comparison(
    key: str, title: str, figure: str, found: dict[str, list[list[dict[str, Any]]]], notes: list[str]
) -> Comparison:
    series = [
        Series(
            package.name,
            tuple(median(one[figure] for one in answers) for answers in found[package.key]),
            package.offers,
        )
        for package in PACKAGES
    ]
    ours, cronsim, *_ = series
    goal = Goal("faster than cronsim", cronsim.ratio_to(ours), 3, "x", at_least=True)
    zoned = [each for each in series if each.name != "croniter-rs"]
    rank = sorted(zoned, key=lambda each: each.median).index(ours) + 1
    fastest = Goal("rank among those that know zones", rank, 1, "")
    return Comparison(key, f"{title}, median of 200", "us", series, [goal, fastest], notes)


def _slowest(found: dict[str, list[list[dict[str, Any]]]]) -> Comparison:
    series = [
        Series(package.name, (_slowest_of(found[package.key])[0],), _slowest_of(found[package.key])[1])
        for package in PACKAGES
    ]
    return Comparison(
        "cron-slowest",
        "next_time, cold: the slowest of 200",
        "us",
        series,
        [Goal(f"the slowest ({series[0].offers})", series[0].median, 100, "us")],
    )


def _slowest_of(rounds: list[list[dict[str, Any]]]) -> tuple[float, str]:
    medians = [median(one["cold_us"] for one in answers) for answers in zip(*rounds, strict=True)]
    return max(zip(medians, corpus.EXPRESSIONS, strict=True))


def _agreement(found: dict[str, list[list[dict[str, Any]]]]) -> str:
    ours = [one["next"] for one in found["jarvis_trio"][0]]
    same = Counter(
        {
            package.name: sum(mine == one["next"] for mine, one in zip(ours, found[package.key][0], strict=True))
            for package in PACKAGES[1:]
        }
    )
    return "The same next time as ours: " + ", ".join(f"{name} {count} of {len(ours)}" for name, count in same.items())
