#!/usr/bin/env python3
"""A `systemctl --user` for tests, as a program on PATH or called in this process; `loginctl` and `journalctl` too.

Its state is a dictionary that a test writes and reads; the program keeps it in the JSON file that
`FAKE_SYSTEMCTL_STATE` names. As a program it is told first for which one it stands. What it copies of the real one:

- a unit file counts only after `daemon-reload`, and `enable` of a unit without a file fails;
- `stop --no-block` is asynchronous: for `stopping_shows` further looks the unit is `deactivating`;
- `start --no-block` succeeds whatever becomes of the process: a unit that `crashes` goes to
  `auto-restart` with exit code 1;
- `show` ends with 0 and `LoadState=not-found` for a unit that is not there, and with 1 if
  there is no `manager`;
- `faults`, a list of `{"verb", "times"}`, fail on demand; with `"late": true` after the verb had
  its effect.

Every call is noted in `calls`.
"""

from __future__ import annotations

import json
import os
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

EMPTY: dict[str, Any] = {
    "folder": "",
    "read": {},
    "active": "inactive",
    "pid": 0,
    "enabled": False,
    "exit": 0,
    "ended_by": 1,
    "manager": True,
    "linger": "no",
    "stopping_shows": 2,
    "left": 0,
    "crashes": False,
    "journal": "",
    "faults": [],
    "calls": [],
    "next_pid": 4001,
}
UNIT = "jarvis-daemon.service"


class Fake:
    """One call: the state before, and the verbs that change it."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state
        self.out = ""

    def call(self, words: list[str]) -> int:
        self.state["calls"].append(words)
        verb = words[0]
        fault = next((f for f in self.state["faults"] if f["verb"] == verb and f.get("times", 1) != 0), None)
        if fault is not None:
            fault["times"] = fault.get("times", 1) - 1
            if not fault.get("late"):
                return 1
        code = int(getattr(self, "do_" + verb.replace("-", "_"))())
        return code if fault is None else 1

    @property
    def loaded(self) -> bool:
        return UNIT in self.state["read"]

    def do_show(self) -> int:
        if not self.state["manager"]:
            return 1
        if self.state["active"] == "deactivating":
            self.state["left"] -= 1
            if self.state["left"] < 0:
                self.state.update(active="inactive", pid=0)
        sub = {"active": "running", "activating": "auto-restart", "deactivating": "stop-sigterm"}
        self.out = (
            f"LoadState={'loaded' if self.loaded else 'not-found'}\n"
            f"ActiveState={self.state['active']}\nSubState={sub.get(self.state['active'], 'dead')}\n"
            f"MainPID={self.state['pid']}\nUnitFileState={'enabled' if self.state['enabled'] else 'disabled'}\n"
            f"ExecMainCode={self.state['ended_by']}\n"
            f"ExecMainStatus={self.state['exit']}\nFragmentPath={self.state['folder']}/{UNIT}\n"
        )
        return 0

    def do_daemon_reload(self) -> int:
        file = Path(self.state["folder"]) / UNIT
        self.state["read"] = {UNIT: file.read_text()} if file.exists() else {}
        return 0

    def do_enable(self) -> int:
        if not (Path(self.state["folder"]) / UNIT).exists():
            return 1
        self.state["enabled"] = True
        return 0

    def do_disable(self) -> int:
        self.state["enabled"] = False
        return 0

    def do_reset_failed(self) -> int:
        return 0 if self.loaded else 1

    def do_start(self) -> int:
        if not self.loaded:
            return 5
        if self.state["crashes"] and "Written by" in self.state["read"][UNIT]:
            self.state.update(active="activating", pid=0, exit=1)
        elif self.state["active"] != "active":
            self.state.update(active="active", pid=self.state["next_pid"], next_pid=self.state["next_pid"] + 1)
        return 0

    def do_stop(self) -> int:
        if not self.loaded:
            return 5
        if self.state["active"] != "inactive":
            self.state.update(active="deactivating", left=self.state["stopping_shows"])
        return 0


def answer(state: dict[str, Any], words: list[str]) -> tuple[int, str, str]:
    """One call, which changes `state`: exit code, standard output, standard error."""
    program, *rest = words
    if program.endswith("journalctl"):
        return 0, state["journal"], ""
    if program.endswith("loginctl"):
        return 0, f"Linger={state['linger']}\n", ""
    fake = Fake(state)
    code = fake.call([word for word in rest if word not in ("--user", "--no-block")])
    said = "Failed to connect to bus: No medium found" if not state["manager"] else "Failed: injected"
    return code, fake.out, "" if code == 0 else f"{said}\n"


def main(state_file: Path) -> int:
    state = deepcopy(EMPTY) | (json.loads(state_file.read_text()) if state_file.exists() else {})
    code, out, err = answer(state, sys.argv[1:])
    state_file.write_text(json.dumps(state, indent=1))
    sys.stdout.write(out)
    sys.stderr.write(err)
    return code


if __name__ == "__main__":
    sys.exit(main(Path(os.environ["FAKE_SYSTEMCTL_STATE"])))
