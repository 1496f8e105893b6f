"""A child process and its end, also if other code in this process reaps it first.

Guarantees: an exit code is the child's own. If nobody knows it, it is None, and never 0.

`Popen.wait` and `Popen.poll` were rejected. If SIGCHLD is ignored, or if other code in this process
reaps all children, they answer 0, and a failure would count as a success.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

_SHORTEST_LOOK_SECONDS = 0.001
_LONGEST_LOOK_SECONDS = 0.05


class Child:
    """A started process, and its end.

    Attributes:
        exit_code: negative for a signal; None as long as the process runs, and if nobody knows.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.exit_code: int | None = None

    def has_ended(self) -> bool:
        """Whether it has ended.

        If the system allows that, it is not reaped yet, so that nobody else gets its PID.
        """
        if sys.platform != "linux":  # os.waitid came to macOS with Python 3.13
            return self.reap()
        try:
            return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def reap(self) -> bool:
        """Reap it: from then on `exit_code` holds what is known.

        Returns whether it has ended.
        """
        if self._process.returncode is not None:
            return True
        try:
            pid, status = os.waitpid(self._process.pid, os.WNOHANG)
        except ChildProcessError:
            pid, status = self._process.pid, None
        if pid == 0:
            return False
        self.exit_code = None if status is None else os.waitstatus_to_exitcode(status)
        self._process.returncode = self.exit_code or 0  # else Popen would wait for it once more
        return True

    def reap_within(self, seconds: float) -> bool:
        """Wait for its end, for at most `seconds`, and reap it. Returns whether it has ended."""
        deadline = time.monotonic() + seconds
        look = _SHORTEST_LOOK_SECONDS
        while not self.reap():
            if (left := deadline - time.monotonic()) <= 0:
                return False
            time.sleep(min(look, left))
            look = min(look * 2, _LONGEST_LOOK_SECONDS)
        return True

    def abandon(self) -> None:
        """Leave it alone: it cannot be ended now."""
        self._process.returncode = -signal.SIGKILL  # else Popen would complain that it still runs
