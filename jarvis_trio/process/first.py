"""What the first process of a container owes the others: it reaps orphans, and hands signals on.

The kernel gives every orphan to PID 1 (wait(2)), and one that nobody waits for stays as a zombie.
To reap whatever comes along in the daemon itself was rejected: it would take the exit codes of
its own commands away from whoever waits for them.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def leave_the_work_to_a_child() -> None:
    """As PID 1, return in a child, and stay behind to reap until that child ends; else do nothing.

    The process then ends as the child did: with its exit code, or 128 and the signal's number.
    """
    if os.getpid() != 1:
        return
    child = os.fork()
    if child != 0:
        _hand_on(child)
        os._exit(_reap_until_it_ends(child))


def _hand_on(child: int) -> None:
    def hand_on(number: int, _: FrameType | None) -> None:
        os.kill(child, number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, hand_on)
    # A terminal sends its Ctrl-C to both.
    signal.signal(signal.SIGINT, signal.SIG_IGN if sys.stdin is not None and sys.stdin.isatty() else hand_on)


def _reap_until_it_ends(child: int) -> int:
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
