"""The command of a task: how a request makes it, and what in it will not work."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from jarvis_trio.desk.requests import NONE, TaskRequest
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import HandlerError, RequestError, ScheduleError, TaskError
from jarvis_trio.handlers.approvals import find_executable
from jarvis_trio.handlers.commands import Command, check_variable, command_of
from jarvis_trio.handlers.custom import home_folder
from jarvis_trio.handlers.secrets import CommandSecrets
from jarvis_trio.models import COMMAND_TYPE, ScheduledTask
from jarvis_trio.store.places import place_of

SHELL = "/bin/sh"

_SHELLS = frozenset(["sh", "bash", "dash", "zsh", "ksh", "fish"])
_SHELL_WORDS = {"|", "||", "&&", "&", ";", ">", ">>", "<", "2>", "2>&1", "&>"}


def command_config(request: TaskRequest, task: ScheduledTask, search_path: str) -> str:
    """The configuration of a task whose command a request sets or changes, as JSON.

    Raises RequestError, TaskError, HandlerError for what makes no sense.
    """
    before = _command_before(task)
    words = _words(request, search_path) or (before.words if before else ())
    if not words:
        raise RequestError("say what is to run", fix="give `command`, or `shell`")
    command = Command(
        words,
        _variables(request.env, before.variables if before else {}),
        _secrets(request.secret, before.secrets if before else ()),
        _folder(request.cwd, before.folder if before else None),
        by_agent=before is not None and before.by_agent and words == before.words,
    )
    return json.dumps(command_of(_as_task(command)).config())


def usable_command(session: Session, task: ScheduledTask) -> Command:
    """The command of a task of the type `custom`.

    Raises HandlerError if it makes no sense, and TaskError if its program is missing.
    """
    command = command_of(task)
    program_path(command.words[0], session.search_path)
    return command


def program_path(name: str, search_path: str) -> str:
    """The absolute path of a program, since the daemon has another PATH and another folder.

    Raises TaskError if neither the path nor the folders of `search_path` have it.
    """
    path = str(Path(name).absolute()) if os.sep in name else name
    found = find_executable(path, search_path)
    if found is not None and found.exists():
        return str(found)
    if len(parts := name.split()) > 1 and find_executable(parts[0], search_path):
        fix = f"write its words apart: -- {name}; or, if a shell is to read it: --shell {shlex.quote(name)}"
        raise TaskError(f"there is no program {name!r}", fix=fix)
    searched = "" if os.sep in name else " on PATH"
    raise TaskError(f"there is no program {name!r}{searched}", fix="give the path of an executable")


def surprises(task: ScheduledTask, environment: Mapping[str, str]) -> Iterator[str]:
    """What in a task's command will not do what it looks like, and what to type in its place."""
    with suppress(HandlerError):
        command = command_of(task)
        yield from _shell_words(command)
        yield from _relative_paths(command, home_folder(environment))


def missing_secrets(session: Session, task: ScheduledTask) -> Iterator[str]:
    """Which secrets of a task's command are not set yet, and where to set them."""
    here = session.store.here
    try:
        place, command = place_of(task, here), command_of(task)
        if here is None or place is None or here.may_take(place):  # another machine's are unknown here
            CommandSecrets(session.environment, session.settings.data_dir).values(command.secrets)
    except (ScheduleError, HandlerError) as error:
        yield str(error)


def _shell_words(command: Command) -> Iterator[str]:
    if Path(command.words[0]).name in _SHELLS and "-c" in command.words:
        return
    found = [word for word in command.words[1:] if word in _SHELL_WORDS or " | " in word or " && " in word]
    if found:
        typed = shlex.quote(" ".join(_as_typed(word) for word in command.words))
        says = f"no shell reads this command, so {found[0]!r} is only a word to its program"
        yield f"{says}; if a shell is to read it: --shell {typed}"


def _as_typed(word: str) -> str:
    return word if word in _SHELL_WORDS or " | " in word or " && " in word else shlex.quote(word)


def _relative_paths(command: Command, home: str) -> Iterator[str]:
    """Warn of arguments that name a file here, but not in the folder of the command."""
    folder = command.folder or home
    for word in command.words[1:]:
        value = word.partition("=")[2] if word.startswith("-") and "=" in word else word
        if not value or value.startswith(("-", "/", "~")) or os.path.realpath(folder) == os.path.realpath("."):
            continue
        if os.path.lexists(value) and not os.path.lexists(os.path.join(folder, value)):
            yield f"{value} is a file here, but not in {folder}, where the command runs; to run it here: --cwd ."
            return


def _command_before(task: ScheduledTask) -> Command | None:
    if not task.runs_command:
        return None
    with suppress(HandlerError):  # what makes no sense is replaced
        return command_of(task)
    return None


def _words(request: TaskRequest, search_path: str) -> tuple[str, ...]:
    if request.shell is not None:
        if request.command:
            raise RequestError("a task has one command", fix="give either `command` or `shell`")
        if not request.shell.strip():
            raise RequestError("the text for the shell is empty", fix="give a command line")
        return (SHELL, "-c", request.shell)
    if not request.command:
        return ()
    program, *arguments = request.command
    return (program_path(program, search_path), *arguments)


def _variables(given: tuple[str, ...], before: Mapping[str, str]) -> dict[str, str]:
    variables = {} if NONE in given else dict(before)
    for text in given:
        name, equals, value = text.partition("=")
        if text == NONE:
            continue
        if not equals:
            raise RequestError(f"{text!r} is not NAME=VALUE", fix="to hand on a secret, name it with `secret`")
        check_variable(name)
        variables[name] = value
    return variables


def _secrets(given: tuple[str, ...], before: tuple[str, ...]) -> tuple[str, ...]:
    names = [] if NONE in given else list(before)
    for name in given:
        if "=" in name:
            fix = "give its name alone, and write the value into secrets.env in the data folder"
            raise RequestError("the value of a secret does not belong here", fix=fix)  # not the text itself
        if name != NONE:
            check_variable(name)
            names.append(name)
    return tuple(dict.fromkeys(names))


def _folder(given: str | None, before: str | None) -> str | None:
    if given is None:
        return before
    if given == NONE:
        return None
    folder = Path(os.path.expanduser(given)).absolute()  # pathlib raises for the home of nobody
    if not folder.is_dir():
        raise TaskError(f"there is no folder {str(folder)!r}", fix="give one that is there")
    return os.path.normpath(folder)


def _as_task(command: Command) -> ScheduledTask:
    """For the checks that a row has to pass."""
    return ScheduledTask(
        name="",
        schedule_type="",
        schedule_config="",
        handler_type=COMMAND_TYPE,
        handler_config=json.dumps(command.config()),
    )
