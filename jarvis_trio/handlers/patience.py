"""How long a command's processes have to end. Apart from what ends them, which imports psutil."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

_CERTAINTY = timedelta(seconds=3)


class Patience(NamedTuple):
    """How long processes have to end: after SIGTERM, then after SIGKILL."""

    term: timedelta = timedelta(seconds=5)
    kill: timedelta = timedelta(seconds=2)
    """Only what hangs in the kernel, or belongs to another user, needs longer."""

    @property
    def grace(self) -> timedelta:
        """How long a handler may take beyond its time limit.

        It is the sum of both limits, and of the last looks of a busy machine.
        """
        return self.term + self.kill + _CERTAINTY


PATIENCE = Patience()
"""What commands have."""
