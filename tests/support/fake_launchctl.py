#!/usr/bin/env python3
"""A `launchctl` for tests, as a program on PATH or called in this process.

Its state is a dictionary that a test writes and reads; the program keeps it in
the JSON file that `FAKE_LAUNCHCTL_STATE` names. What it copies of the real one:

- `bootout` is asynchronous: for `going_prints` further looks the label is still
  printed, as SIGTERMed, and `bootstrap` of it ends with 5;
- `bootstrap` ends with 5 for a label that is loaded or disabled and for a plist
  that is bad or that others may write, with 125 in a domain that is not there,
  and refuses, in `user/UID`, an agent that does not say that it is for the Background;
- `print` ends with 113 for a label that is not loaded, `bootout` with 3;
- a service shows no process before `starting_prints` looks, and none ever where
  it `crashes`;
- with `spawns` it really starts the program of a plist, as launchd does, and bootout sends SIGTERM;
- `faults`, a list of `{"verb", "label", "code", "times"}`, fail on demand; with
  `"late": true` after the verb had its effect.

Every call is noted in `calls`.
"""

from __future__ import annotations

import json
import os
import plistlib
import signal
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

EMPTY: dict[str, Any] = {
    "services": {},
    "disabled": [],
    "gui": True,
    "going_prints": 2,
    "starting_prints": 1,
    "crashes": [],
    "spawns": False,
    "faults": [],
    "calls": [],
    "next_pid": 4001,
}
WORDS = {3: "No such process", 5: "Input/output error", 37: "Operation already in progress", 113: "No such service"}


class Fake:
    """One call: the state before, and the verbs that change it."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state
        self.services: dict[str, dict[str, Any]] = state["services"]
        self.out = ""

    def call(self, arguments: list[str]) -> int:
        self.state["calls"].append(arguments)
        verb = arguments[0]
        fault = self._fault(verb, arguments)
        if fault is not None and not fault.get("late"):
            return int(fault["code"])
        code = int(getattr(self, "do_" + verb.replace("-", "_"))(*arguments[1:]))
        return code if fault is None else int(fault["code"])

    def _fault(self, verb: str, arguments: list[str]) -> dict[str, Any] | None:
        for fault in self.state["faults"]:
            if fault["verb"] == verb and fault.get("label", "") in arguments[-1] and fault.get("times", 1) != 0:
                fault["times"] = fault.get("times", 1) - 1
                return dict(fault)
        return None

    def _is_there(self, domain: str) -> bool:
        return bool(self.state["gui"]) or not domain.startswith("gui/")

    def do_print(self, target: str) -> int:
        if target.count("/") == 1:
            return 0 if self._is_there(target) else 125
        service = self.services.get(target)
        if service is None:
            return 113
        if service["state"] == "SIGTERMed":
            service["left"] -= 1
            if service["left"] < 0 and not (self.state["spawns"] and alive(service["pid"])):
                del self.services[target]
                return 113
        elif service["state"] == "spawn scheduled" and target.split("/")[2] not in self.state["crashes"]:
            service["left"] -= 1
            if service["left"] < 0:
                pid = spawn(Path(service["path"])) if self.state["spawns"] else self.state["next_pid"]
                service.update(state="running", pid=pid)
                self.state["next_pid"] += 1
        self.out = self._words_of(target, service)
        return 0

    def _words_of(self, target: str, service: dict[str, Any]) -> str:
        pid = f"\tpid = {service['pid']}\n" if service["pid"] else ""
        ended = "1" if target.split("/")[2] in self.state["crashes"] else "(never exited)"
        return (
            f"{target} = {{\n\tactive count = 1\n\tpath = {service['path']}\n\ttype = LaunchAgent\n"
            f"\tstate = {service['state']}\n\n\tenvironment = {{\n\t\tPATH => /usr/bin\n\t}}\n"
            f"{pid}\tlast exit code = {ended}\n\tendpoints = {{\n\t\tstate = active\n\t}}\n}}\n"
        )

    def do_bootout(self, target: str) -> int:
        service = self.services.get(target)
        if service is None:
            return 3
        service.update(state="SIGTERMed", left=self.state["going_prints"])
        if self.state["spawns"] and service["pid"]:
            os.kill(service["pid"], signal.SIGTERM)
        return 0

    def do_bootstrap(self, domain: str, path: str) -> int:
        plist = self._read(Path(path))
        if not self._is_there(domain):
            return 125
        if plist is None or f"{domain}/{plist['Label']}" in self.services or plist["Label"] in self.state["disabled"]:
            return 5
        if domain.startswith("user/") and plist.get("LimitLoadToSessionType") != "Background":
            return 134
        starts = plist.get("RunAtLoad", False)
        self.services[f"{domain}/{plist['Label']}"] = {
            "path": path,
            "state": "spawn scheduled" if starts else "not running",
            "pid": None,
            "left": self.state["starting_prints"],
        }
        return 0

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            return None if path.stat().st_mode & 0o022 else plistlib.loads(path.read_bytes())
        except (OSError, ValueError, ExpatError):
            return None

    def do_enable(self, target: str) -> int:
        label = target.split("/")[2]
        self.state["disabled"] = [other for other in self.state["disabled"] if other != label]
        return 0

    def do_disable(self, target: str) -> int:
        self.state["disabled"].append(target.split("/")[2])
        return 0

    def do_print_disabled(self, domain: str) -> int:
        lines = "".join(f'\t\t"{label}" => disabled\n' for label in self.state["disabled"])
        self.out = f'disabled services = {{\n\t\t"com.example.other" => enabled\n{lines}\t}}\n'
        return 0


def spawn(plist: Path) -> int:
    """Start the program of a plist with what launchd gives it: no environment of the caller's."""
    agent = plistlib.loads(plist.read_bytes())
    with open(agent["StandardOutPath"], "ab") as out, open(agent["StandardErrorPath"], "ab") as err:
        return subprocess.Popen(
            agent["ProgramArguments"],
            cwd=agent["WorkingDirectory"],
            env={"HOME": os.environ["HOME"], "XPC_SERVICE_NAME": agent["Label"], **agent["EnvironmentVariables"]},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        ).pid


def alive(pid: int) -> bool:
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.returncode == 0 and not done.stdout.startswith("Z")


def answer(state: dict[str, Any], arguments: list[str]) -> tuple[int, str, str]:
    """One call, which changes `state`: exit code, standard output, standard error."""
    fake = Fake(state)
    code = fake.call(arguments)
    return code, fake.out, "" if code == 0 else f"{arguments[0]} failed: {code}: {WORDS.get(code, 'unknown')}\n"


def install(folder: Path) -> None:
    """Put it into `folder` as the program `launchctl`."""
    folder.mkdir()
    program = folder / "launchctl"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{__file__}" "$@"\n')
    program.chmod(0o755)


def answer_from(state_file: Path, arguments: list[str]) -> tuple[int, str, str]:
    """One call on the state in a file."""
    state = deepcopy(EMPTY) | (json.loads(state_file.read_text()) if state_file.exists() else {})
    answered = answer(state, arguments)
    state_file.write_text(json.dumps(state, indent=1))
    return answered


def main(state_file: Path) -> int:
    code, out, err = answer_from(state_file, sys.argv[1:])
    sys.stdout.write(out)
    sys.stderr.write(err)
    return code


if __name__ == "__main__":
    sys.exit(main(Path(os.environ["FAKE_LAUNCHCTL_STATE"])))
