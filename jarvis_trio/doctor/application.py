"""Checks of an application whose handlers run under our engine."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from jarvis_trio.doctor.findings import Finding, problem, warning
from jarvis_trio.handlers.application.handlers import Look
from jarvis_trio.handlers.application.source import HandlerSource
from jarvis_trio.notation.text import joined


def check_application(seen: Look, source: HandlerSource, types: Iterable[str]) -> Iterator[Finding]:
    """What would keep its handlers from running, and which enabled types go to it."""
    python, module = shlex.quote(str(source.python)), source.handlers.partition(":")[0]
    for says in seen.problems:
        see = f"to see it all: cd {shlex.quote(str(source.folder))} && {python} -c 'import {module}'"
        yield problem("application", says, see)
    for name in seen.missing:
        install = f"{python} -m pip install {name}"
        yield warning("application", f"it imports {name}, which its interpreter does not have", install)
    gets = joined(sorted(types), most=20) or "no enabled task"
    yield Finding("application", f"{source.folder}, Python {seen.python} ({source.python}); it gets {gets}")
