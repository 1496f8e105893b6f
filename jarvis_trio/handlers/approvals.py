"""What a row may start: a list that a person keeps, outside the database (law 9).

To write a row must not be enough to run any program. So a command runs only if a person approved

1. exactly this command: its words, its folder, and the names of its variables and secrets; or
2. its executable, with any arguments. Then a row may neither set a variable that decides what code
   runs nor choose another folder than the home folder, and no secret goes to what an AI assistant
   wrote.

At every run the executable must be safe as well: nobody but the user and root can change it, or
exchange it in its folder. Its content counts only if the person pinned it: an editor or a package
manager of the same user is not an attack, and a task that stops for it at night is a fault.

Paths are kept with the links of their folders resolved, but not their own: a venv's `python` and
busybox's `ls` are links to programs that do something else under another name. What a pin compares
is the SHA-256 of the content. Inode and times were rejected, because they change when a backup is
restored; size and time, because whoever can write the file can forge them.

The file of version 1.0.0 held executables only, each pinned, and is read as it is. What it approved
stays pinned, so an upgrade widens nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from jarvis_trio.errors import HandlerError, NotApprovedError
from jarvis_trio.handlers.commands import Command
from jarvis_trio.handlers.steering import runs_anything, steering_names
from jarvis_trio.handlers.trust import others_can_write, shown, unsafe_reason
from jarvis_trio.notation.text import joined, printable
from jarvis_trio.permission import permission_fix
from jarvis_trio.reading import read_whole

_EXECUTABLES, _COMMANDS = "executables", "commands"

Entry = dict[str, Any]


class ApprovedExecutable(NamedTuple):
    """An executable that may run with any arguments.

    `pinned`: only with the content that it had; `for_agents`: also in tasks that an agent makes.
    """

    path: Path
    pinned: bool = False
    for_agents: bool = False


class ApprovedCommand(NamedTuple):
    """A command that may run exactly so, and the program that its first word meant."""

    command: Command
    program: Path
    pinned: bool = False


def find_executable(name: str, search_path: str) -> Path | None:
    """Where the program `name` is: an absolute path as it is, anything else on `search_path`.

    Relative paths, and relative entries of `search_path`, are passed over: what they mean depends
    on the folder that the daemon happens to be in.
    """
    if os.path.isabs(name):
        return _plain(Path(name))
    folders = [folder for folder in search_path.split(os.pathsep) if os.path.isabs(folder)]
    found = None if os.sep in name else shutil.which(name, path=os.pathsep.join(folders))
    return None if found is None else _plain(Path(found))


class Approvals:
    """What a person approved, kept in a JSON file of mode 0600.

    Args:
        path: the file; it and its folder are made with the first approval.
    """

    def __init__(self, path: Path) -> None:
        self._file = path

    def allow(self, executable: str | os.PathLike[str], *, pin: bool = False, for_agents: bool = False) -> Path:
        """Approve an executable with any arguments: a path, or a name on this process's PATH.

        Args:
            executable: what is approved. An earlier approval of it is replaced.
            pin: only with the content that it has now.
            for_agents: also in tasks that an agent makes or changes.

        Returns the path that was approved. Raises NotApprovedError for what others could change,
        and, for agents, for a program that runs whatever its arguments say.
        """
        path = _plain(_located(executable))
        _require_safe(path)
        if for_agents and (kind := runs_anything(path)):
            says = f"{shown(path)} cannot be approved for agents: it is {kind}, so an agent could run any program"
            raise NotApprovedError(says, fix="approve single commands: jarvis-trio allow --task NAME")
        with self._changing() as entries:
            entry: Entry = _identity(path) if pin else {"target": str(path.resolve())}
            entries[_EXECUTABLES][str(path)] = entry | ({"for_agents": True} if for_agents else {})
        return path

    def allow_command(self, command: Command, search_path: str, *, pin: bool = False) -> Path:
        """Approve exactly one command; `search_path` is that of the daemon. Returns its program.

        Raises HandlerError if there is no such program, NotApprovedError if others could change it.
        """
        program = program_of(command, search_path)
        _require_safe(program)
        entry = _entry(command, program) | (_identity(program) if pin else {})
        with self._changing() as entries:
            others = [known for known in entries[_COMMANDS] if not _is_same(known, entry)]
            entries[_COMMANDS] = [*others, entry | {"task": command.task}]
        return program

    def check(self, command: Command, search_path: str, home: str) -> Path:
        """Whether a command may run now; returns the path of its program.

        One that an agent wrote or changed needs an executable that is approved for agents.

        Args:
            command: what a row says.
            search_path: the folders in which a program without a path is looked for.
            home: the folder in which commands run unless they say something else.

        Raises HandlerError if the program does not exist, and NotApprovedError with the reason and
        the fix.
        """
        program = program_of(command, search_path)
        entries = self._read()
        refusal = _refusal_of_command(command, program, entries, home)
        if refusal is not None:
            refusal = _refusal_of_executable(command, program, entries, refusal, home)
        if (reason := unsafe_reason(program)) is not None:
            # Also before a refusal: it would advise an approval that `allow` then refuses.
            state = "approved but not safe to run" if refusal is None else "not approved to run, and cannot be"
            raise NotApprovedError(f"{shown(program)} is {state}: {reason}")
        if refusal is not None:
            raise refusal
        return program

    def revoke(self, executable: str | os.PathLike[str]) -> Path:
        """Take back the approval of a path, or of a name on this process's PATH.

        The path need not exist now. Returns the path that was approved. Raises
        NotApprovedError if no approval exists.
        """
        path = _located(executable)
        with self._changing() as entries:
            for known in (str(path), str(_plain(path))):
                if entries[_EXECUTABLES].pop(known, None) is not None:
                    return Path(known)
        says = f"{shown(path)} is not in the list of approved executables {self._file}"
        raise NotApprovedError(says, fix="see what is: jarvis-trio allow --list")

    def revoke_commands(self, task: str, command: Command | None) -> tuple[Command, ...]:
        """Take back the approvals of exactly one command that belong to a task.

        Args:
            task: its name. The task itself may be gone, or have another command by now.
            command: what it runs now, if it runs one; the approval may have another name.

        Returns the commands that were approved. Raises NotApprovedError if there are none.
        """
        with self._changing() as entries:
            known = entries[_COMMANDS]
            gone = [entry for entry in known if _belongs(entry, task, command)]
            if not gone:
                raise NotApprovedError(f"no command of task {task!r} is in the list of approved commands {self._file}")
            entries[_COMMANDS] = [entry for entry in known if entry not in gone]
        return tuple(_approved(entry).command for entry in gone)

    def executables(self) -> tuple[ApprovedExecutable, ...]:
        """The approved executables in order, with those that `check` would refuse.

        Raises NotApprovedError.
        """
        return tuple(
            ApprovedExecutable(Path(path), "sha256" in entry, bool(entry.get("for_agents")))
            for path, entry in sorted(self._read()[_EXECUTABLES].items())
        )

    def commands(self) -> tuple[ApprovedCommand, ...]:
        """The commands that are approved exactly as they are. Raises NotApprovedError."""
        return tuple(map(_approved, self._read()[_COMMANDS]))

    def _read(self) -> dict[str, Any]:
        try:
            # Non-blocking, as a FIFO of that name would hold up every command forever.
            with open(self._file, "rb", opener=lambda p, f: os.open(p, f | os.O_NONBLOCK)) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode) or others_can_write(self._file, status):
                    raise NotApprovedError(
                        f"the list of approved commands {self._file} is not a plain file that only you can write",
                        fix=f"check it, make it yours, and: chmod 600 {shown(self._file)}",
                    )
                entries = json.loads(read_whole(file).decode())
                return _checked(entries)
        except FileNotFoundError:
            return {_EXECUTABLES: {}, _COMMANDS: []}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            fix, why = "remove the file, and approve again", printable(str(error))
            if isinstance(error, OSError):
                fix, why = permission_fix(self._file, error, fix), error.strerror or why
            says = f"the list of approved commands {self._file} cannot be read ({why})"
            raise NotApprovedError(says, fix=fix) from None

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        """The entries, to be changed; written at the end, as a whole or not at all."""
        folder = self._file.parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(folder, os.O_RDONLY)
            try:
                # The folder is the lock. The file itself is replaced, and a lock on it would stay
                # with the old file.
                fcntl.flock(lock, fcntl.LOCK_EX)
                entries = self._read()
                yield entries
                self._write(entries)
            finally:
                os.close(lock)
        except OSError as error:
            says = f"cannot write the list of approved commands {self._file}: {error.strerror}"
            raise NotApprovedError(says, fix=permission_fix(self._file, error)) from None

    def _write(self, entries: Mapping[str, Any]) -> None:
        new = self._file.with_name(self._file.name + ".new")  # one writer at a time, so one name does
        with open(new, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f | os.O_NOFOLLOW, 0o600)) as file:
            json.dump(entries, file, indent=2, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self._file)


def program_of(command: Command, search_path: str) -> Path:
    """The path of the program that a command names.

    Raises HandlerError if the program is not on `search_path`.
    """
    found = find_executable(command.words[0], search_path)
    if found is None:
        says = f"{printable(command.words[0])} is not on the daemon's PATH ({search_path})"
        raise HandlerError(says, fix="give its absolute path")
    return found


def _refusal_of_command(
    command: Command, program: Path, entries: Mapping[str, Any], home: str
) -> NotApprovedError | None:
    """None if exactly this command is approved; else why it is not.

    Only the approval of the command itself counts here, not that of its executable.
    """
    same = [entry for entry in entries[_COMMANDS] if _says_the_same(entry, command)]
    fix = _fix(command, program, exactly=_beyond_its_program(command, home) is not None)
    if any(entry["program"] == str(program) and _pin_fits(entry, program) for entry in same):
        return None
    if any(entry["program"] == str(program) for entry in same):
        pinned = _fix(command, program, exactly=True, pin=True)
        return NotApprovedError(f"{shown(program)} was replaced since it was approved", fix=pinned)
    if same:
        says = f"{printable(command.words[0])} is {shown(program)} now; approved was {printable(same[0]['program'])}"
        return NotApprovedError(says, fix=fix)
    if any(command.task and entry.get("task") == command.task for entry in entries[_COMMANDS]):
        says = f"the command was changed since it was approved, and now is: {printable(str(command))}"
        return NotApprovedError(says, fix=fix)
    return NotApprovedError(f"{shown(program)} is not approved to run", fix=fix)


def _refusal_of_executable(
    command: Command,
    program: Path,
    entries: Mapping[str, Any],
    otherwise: NotApprovedError,
    home: str,
) -> NotApprovedError | None:
    """None if the executable is approved, and nothing in the command goes beyond that."""
    known = entries[_EXECUTABLES]
    # A link is approved by itself, or through the file that it leads to.
    entry = known.get(str(program), known.get(str(program.resolve())))
    if entry is None or (command.by_agent and not entry.get("for_agents")):
        return otherwise
    if not _pin_fits(entry, program):
        fix = f"if that was an upgrade: {_allow(program, pin=True, for_agents=bool(entry.get('for_agents')))}"
        return NotApprovedError(f"{shown(program)} was replaced since it was approved", fix=fix)
    if (says := _beyond_its_program(command, home)) is not None:
        return NotApprovedError(says, fix=_fix(command, program, exactly=True))
    return None


def _beyond_its_program(command: Command, home: str) -> str | None:
    """What in a command no approval of its executable covers, only that of exactly this command."""
    if command.by_agent and command.secrets:
        return f"the command, which an AI assistant wrote or changed, asks for the secrets {joined(command.secrets)}"
    if steering := steering_names(command.names):
        return f"the command sets {joined(steering)}, which decides what code runs"
    if command.folder is not None and _plain(Path(command.folder)) != _plain(Path(home)):
        return f"the command runs in {shown(command.folder)}, which can decide what code runs"
    return None


def _fix(command: Command, program: Path, *, exactly: bool = False, pin: bool = False) -> str:
    path = f"with any arguments: {_allow(program, pin=pin, for_agents=command.by_agent)}"
    if not command.task:
        return f"to approve it {path}"
    task = f"to approve exactly this command: jarvis-trio allow {'--pin ' if pin else ''}--task {shown(command.task)}"
    return task if exactly or runs_anything(program) else f"{task}; or {path}"


def _allow(program: Path, *, pin: bool, for_agents: bool) -> str:
    """What to type to approve an executable, no more widely than it has to be."""
    options = "".join(option for option, wanted in (("--pin ", pin), ("--for-agents ", for_agents)) if wanted)
    return f"jarvis-trio allow {options}{shown(program)}"


def _entry(command: Command, program: Path) -> Entry:
    """A command for the list.

    A variable is listed with its value only if it decides what code runs.
    """
    steering = steering_names(command.names)
    return {
        "program": str(program),
        "command": list(command.words),
        "cwd": command.folder,
        "env": sorted(command.variables),
        "secrets": sorted(command.secrets),
        "steering": {name: command.variables[name] for name in steering if name in command.variables},
    }


def _approved(entry: Entry) -> ApprovedCommand:
    variables = {name: entry["steering"].get(name, "...") for name in entry["env"]}
    words, secrets = tuple(entry["command"]), tuple(entry["secrets"])
    command = Command(words, variables, secrets, entry["cwd"], entry.get("task", ""))
    return ApprovedCommand(command, Path(entry["program"]), "sha256" in entry)


def _says_the_same(entry: Entry, command: Command) -> bool:
    return _is_same(entry, _entry(command, Path(entry["program"])))


def _belongs(entry: Entry, task: str, command: Command | None) -> bool:
    """Whether an entry was made for a task, or says what the task runs."""
    return entry.get("task") == task or (command is not None and _says_the_same(entry, command))


def _is_same(entry: Entry, other: Entry) -> bool:
    keys = ("program", "command", "cwd", "env", "secrets", "steering")
    return all(entry[key] == other[key] for key in keys)


def _checked(entries: Any) -> dict[str, Any]:
    """The entries of a file, of this version or of 1.0.0.

    Raises ValueError, TypeError, KeyError, AttributeError.
    """
    executables, commands = entries[_EXECUTABLES], entries.get(_COMMANDS, [])
    if not isinstance(executables, dict) or not isinstance(commands, list):
        raise ValueError("it is not a list of approvals")
    for entry in executables.values():
        entry.get("target")
    for entry in commands:
        _approved(entry)
    return {_EXECUTABLES: executables, _COMMANDS: commands}


def _located(executable: str | os.PathLike[str]) -> Path:
    """The absolute path of what a person names: by a path, or as a shell would find it."""
    name = os.fspath(executable)
    found = name if os.sep in name else shutil.which(name)
    if found is None:
        raise NotApprovedError(f"{shown(name)} is not on PATH", fix="give the path of an executable")
    return Path(found).absolute()


def _plain(path: Path) -> Path:
    """The path with its folders' links resolved.

    So `/bin/ls` is `/usr/bin/ls` if `/bin` is a link to `/usr/bin`.
    """
    return path.parent.resolve() / path.name


def _require_safe(path: Path) -> None:
    if (reason := unsafe_reason(path)) is not None:
        raise NotApprovedError(f"{shown(path)} cannot be approved: {reason}")


def _pin_fits(entry: Entry, program: Path) -> bool:
    return "sha256" not in entry or _identity(program) == {key: entry.get(key) for key in ("target", "sha256")}


def _identity(path: Path) -> Entry:
    target = path.resolve()
    try:
        status = target.stat()
        changed = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return {"target": str(target), "sha256": _sha256(target, changed)}
    except FileNotFoundError:
        raise NotApprovedError(f"{shown(path)} is approved but not safe to run: there is no such file") from None
    except OSError as error:
        says = f"{shown(path)} cannot be read, so it cannot be recognised: {error.strerror}"
        raise NotApprovedError(says, fix=permission_fix(path, error)) from None


@lru_cache(maxsize=256)
def _sha256(path: Path, _changed: tuple[int, ...]) -> str:
    """The hash of the content.

    It is remembered while `_changed` stays the same; the kernel keeps those values.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
