"""Programs that carry a message: no shell, a time limit, and data only as arguments."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress

from jarvis_trio.delivery.host import Host
from jarvis_trio.errors import DeliveryError
from jarvis_trio.notation.text import last_line
from jarvis_trio.process.children import Child

# osascript reads options up to the first argument that is none, and data may begin with a dash:
# `-e...` would be one more line of the script. So a word of ours comes first, as item 1 of argv.
_FIRST_ARGUMENT = "jarvis"
_NO_CONSENT = "-1743"
_LONGEST_COMPLAINT_BYTES = 1_000

_END_SECONDS = 5.0
"""How long a program that was killed may take to end: one that waits for a disk never does."""


def applescript(host: Host, script: str, *data: str, missing: str) -> None:
    """Run the constant `script`, whose `on run argv` finds `data` from item 2 on.

    Raises DeliveryError as `run` does, with a fix of its own if macOS withholds consent.
    """
    try:
        run(host, "osascript", "-e", script, _FIRST_ARGUMENT, *data, missing=missing)
    except DeliveryError as error:
        if _NO_CONSENT in str(error):
            raise DeliveryError(
                f"macOS does not let this program control the other one (error {_NO_CONSENT})",
                fix="allow it in System Settings > Privacy & Security > Automation",
            ) from None
        raise


def run(host: Host, program: str, *arguments: str, missing: str, failed: str = "") -> None:
    """Run `program`, found on the PATH of the host's environment, to its end.

    Raises DeliveryError if it is missing, fails, or takes longer than the host's timeout;
    then it is killed with all that is left in its session. `missing` and `failed` are the
    fixes of the first two.
    """
    path = shutil.which(program, path=host.environment.get("PATH", os.defpath))
    if path is None:
        raise DeliveryError(f"the program {program} is not on PATH", fix=missing)
    # A file, not a pipe: a pipe would be read until the last grandchild that holds it has ended.
    with tempfile.TemporaryFile() as complaint:
        process = subprocess.Popen(
            [path, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=complaint,
            env=host.environment,
            start_new_session=True,
        )
        code = _exit_code(process, program, host.timeout_seconds)
        complaint.seek(0)
        reason = last_line(complaint.read(_LONGEST_COMPLAINT_BYTES).decode(errors="replace"))
    if code is None:
        raise DeliveryError(f"nobody knows how {program} ended: other code in this process took its exit status")
    if code != 0:
        says = f"{program} failed with exit status {code}: {reason or 'it gave no reason'}"
        raise DeliveryError(says, fix=failed)


def _exit_code(process: subprocess.Popen[bytes], program: str, timeout_seconds: float) -> int | None:
    child = Child(process)
    try:
        if not child.reap_within(timeout_seconds):
            raise DeliveryError(f"{program} did not end within {timeout_seconds:g} s and was killed")
        return child.exit_code
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS, for a zombie
                os.killpg(process.pid, signal.SIGKILL)
            if not child.reap_within(_END_SECONDS):
                child.abandon()
