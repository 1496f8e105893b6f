"""Which zones the queue was filled by, and whether their rules are still the same.

The rules of a zone change under one name: a government decides, and an update of the machine
brings it. A running daemon must notice, and one that was stopped meanwhile too.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import tzinfo

from jarvis_trio.clock import Version, zone_rules, zone_version
from jarvis_trio.store import MemoryStore

_NOTE = "zone rules"


class ZoneWatch:
    """Compares the rules of the zones in use with those of the last time, also across restarts.

    It takes no lock: a thread may call it inside a transaction, which is a lock itself. Two
    threads that notice one change both tell it, and to follow it twice does no harm.

    Args:
        store: the database, which remembers them.
    """

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._rules: dict[str, str] | None = None
        self._versions: dict[str, Version] = {}
        self._machine: tzinfo | None = None

    def use(self, name: str) -> None:
        """The queue is being filled by the rules of the zone `name`."""
        if name not in self._known():
            self._remember({name: zone_rules(zone_version(name))})

    def are_as_seen(self, machine: tzinfo) -> bool:
        """Whether `changed` would find nothing, and the machine's zone is the one it was told.

        Costs one stat(2) for each other zone in use: a clock gives the same object for a zone
        only while its rules are the same.
        """
        if machine is not self._machine or len(self._versions) != len(self._known()):
            return False
        name_of_machines = str(machine)
        return all(
            zone_version(name) == version for name, version in self._versions.items() if name != name_of_machines
        )

    def changed(self, machine: tzinfo) -> list[str]:
        """The zones whose rules are not what they were; `machine` is the machine's zone now."""
        self._machine = machine
        versions = {name: zone_version(name) for name in list(self._known())}
        if versions == self._versions:
            return []
        self._versions = versions
        present = {name: zone_rules(version) for name, version in versions.items()}
        found = {name: rules for name, rules in present.items() if self._known()[name] != rules}
        if found:
            self._remember(found)
        return list(found)

    def _known(self) -> dict[str, str]:
        if self._rules is None:
            self._rules = self._read()
        return self._rules

    def _remember(self, rules: dict[str, str]) -> None:
        self._rules = self._known() | rules
        self._store.notes.remember(_NOTE, json.dumps(self._rules))

    def _read(self) -> dict[str, str]:
        with suppress(ValueError, RecursionError):
            noted = json.loads(self._store.notes.note(_NOTE) or "{}")
            if isinstance(noted, dict):
                return {str(name): str(rules) for name, rules in noted.items()}
        return {}
