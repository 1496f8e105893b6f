"""The handlers of an application: each run is a child process in its own interpreter.

Guarantees:
- A run ends with all its descendants at its time limit, at a stop, and after a crash of the
  daemon: it goes through the same machinery as a command.
- `custom` never goes to the application, whatever a row's type looks like.

This code assumes that the application's `config.MEMORY_DB_PATH` is the daemon's database;
each run checks it, since another file would be changed unseen.

In process it was tried and rejected: two modules named `config` clash, its packages are missing
in our interpreter, a thread that hangs cannot be ended, and the current folder is one for all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple

from jarvis_trio.delivery.secrets import read_variables
from jarvis_trio.errors import DeliveryError, HandlerError, HandlerSkippedError, HandlerTimeoutError, JarvisError
from jarvis_trio.handlers.application.folders import run_folder, sweep_folders
from jarvis_trio.handlers.application.source import HandlerSource
from jarvis_trio.handlers.custom import passed_on, task_environment
from jarvis_trio.handlers.endings import failure_reason, hold_task, timeout_reason
from jarvis_trio.handlers.outputs import OutputFile, Outputs
from jarvis_trio.handlers.patience import PATIENCE, Patience
from jarvis_trio.models import Handler, HandlerContext, HandlerResult, ScheduledTask
from jarvis_trio.notation.jsontext import json_value
from jarvis_trio.notation.text import printable
from jarvis_trio.process.umask import current_umask

if TYPE_CHECKING:
    from jarvis_trio.handlers.processes import Completed

BOOTSTRAP = Path(__file__).with_name("bootstrap.py")

_MOST_ANSWER_BYTES = 16 * 1024 * 1024
_LOOK_LIMIT = timedelta(seconds=60)
_NOT_IMPLEMENTED = "not yet implemented"


@dataclass(frozen=True, slots=True)
class Look:
    """What a child process saw of the application before any handler ran.

    `problems` keep its handlers from running; `missing` are packages that its files import
    and that its interpreter does not have.
    """

    python: str
    problems: tuple[str, ...]
    missing: tuple[str, ...]


class HandlersOfBoth(Mapping[str, Handler]):
    """Handlers by type: ours, and for every other type the application's.

    Args:
        source: the application.
        ours: the handlers that come with the program, and the installed ones.
        theirs: hands a task to the application.
    """

    def __init__(self, source: HandlerSource, ours: Mapping[str, Handler], theirs: ApplicationHandler) -> None:
        self._source = source
        self._ours = ours
        self._theirs = theirs

    def __getitem__(self, handler_type: str) -> Handler:
        return self._theirs if self._source.takes(handler_type, self._ours) else self._ours[handler_type]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ours)

    def __len__(self) -> int:
        return len(self._ours)


class _Call(NamedTuple):
    """What one child process is told and allowed.

    `run_id` is the run's number, if it is one; `hold` is told how the process ended.
    """

    told: dict[str, str]
    timeout: timedelta
    cancelled: Event
    run_id: int | None = None
    hold: Callable[[Completed], object] = lambda _: None


class ApplicationHandler:
    """The handler that hands a task to the application, whose types are many.

    Args:
        source: the application.
        database: the daemon's; the application's has to be the same.
        environment: the daemon's own variables.
        variables_file: further variables for the application, read at each run; it may be missing.
        outputs: where what a run writes is kept.
        patience: how long the processes of a run have to end.
    """

    def __init__(
        self,
        source: HandlerSource,
        database: Path,
        environment: Mapping[str, str],
        variables_file: Path,
        outputs: Outputs,
        patience: Patience = PATIENCE,
    ) -> None:
        self._source = source
        self._database = database
        self._environment = passed_on(environment)
        self._umask = current_umask()
        self._variables_file = variables_file
        self._outputs = outputs
        self._patience = patience

    @property
    def grace(self) -> timedelta:
        """How long it may take beyond its time limit, to be sure that its processes have ended."""
        return self._patience.grace

    def __call__(self, task: ScheduledTask, context: HandlerContext) -> HandlerResult:
        """Run the task's handler in a child process of the application's interpreter.

        Returns what the handler returned. Raises HandlerError if it raised, or if the process
        ended without an answer; HandlerSkippedError if it says that it is not implemented yet;
        HandlerTimeoutError at the time limit.
        """
        sweep_folders()
        request = {"ask": "run", "type": task.handler_type, "config": task.handler_config or ""}
        call = _Call(
            task_environment(task, context),
            context.timeout,
            context.cancelled,
            context.run_id,
            partial(hold_task, task=task, context=context),
        )
        return _result(self._ask(request, call))

    def beside(self, ours: Mapping[str, Handler]) -> HandlersOfBoth:
        """Handlers by type: `ours`, and this one for every type that is the application's."""
        return HandlersOfBoth(self._source, ours, self)

    def look(self) -> Look:
        """See, in a child, what keeps runs from working. Raises HandlerError if it is silent."""
        seen = self._ask({"ask": "look"}, _Call({}, _LOOK_LIMIT, Event()))
        if "error" in seen:
            raise HandlerError(f"the application cannot be looked at: {printable(str(seen['error']))}")
        return Look(str(seen["python"]), tuple(seen["problems"]), tuple(seen["missing"]))

    def require_usable(self) -> Look:
        """Look before a daemon starts. Raises JarvisError if its handlers cannot run."""
        sweep_folders()
        seen = self.look()
        if seen.problems:
            fix = "see all of it with: jarvis-trio doctor, with the same options"
            raise JarvisError(f"the application's handlers cannot run: {'; '.join(seen.problems)}", fix=fix)
        return seen

    def _ask(self, request: Mapping[str, str], call: _Call) -> dict[str, Any]:
        with run_folder() as folder:
            question, answer = folder / "request.json", folder / "answer.json"
            question.write_text(json.dumps(self._whole(request, answer)))  # not an argument, which everybody can see
            ended = self._run(question, call)
            found = _read_answer(answer)
        if found is None:
            raise HandlerError(f"the application's process ended without an answer: {failure_reason(ended)}")
        return found

    def _run(self, question: Path, call: _Call) -> Completed:
        from jarvis_trio.handlers.processes import run_command  # noqa: PLC0415  # psutil: 20 ms

        with self._output(call.run_id) as output:
            ended = run_command(
                [str(self._source.python), str(BOOTSTRAP), str(question)],
                environment=self._environment | self._variables() | call.told,
                folder=str(self._source.folder),
                timeout=call.timeout,
                cancelled=call.cancelled,
                mark=str(call.run_id or ""),
                output=output.write,
                umask=self._umask,
                patience=self._patience,
            )
        call.hold(ended)
        if not ended.in_time:
            raise HandlerTimeoutError(timeout_reason(ended, call.timeout))
        return ended

    def _output(self, run_id: int | None) -> OutputFile:
        return OutputFile(None) if run_id is None else self._outputs.create(run_id)

    def _variables(self) -> dict[str, str]:
        try:
            return read_variables(self._variables_file)
        except DeliveryError as error:
            raise HandlerError(error.says, fix=error.fix) from None

    def _whole(self, request: Mapping[str, str], answer: Path) -> dict[str, Any]:
        source = self._source
        return {
            **request,
            "folder": str(source.folder),
            "handlers": source.handlers,
            "store": source.store,
            "parts": dict(source.parts),
            "database": str(self._database),
            "answer": str(answer),
        }


def _read_answer(path: Path) -> dict[str, Any] | None:
    try:
        if (size := path.stat().st_size) > _MOST_ANSWER_BYTES:
            raise HandlerError(f"its answer has {size:,} bytes; at most {_MOST_ANSWER_BYTES:,} are read")
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _result(answer: Mapping[str, Any]) -> HandlerResult:
    if "error" in answer:
        raise HandlerError(printable(str(answer["error"])))
    result = answer.get("answer")
    if (reason := _not_implemented(result)) is not None:
        raise HandlerSkippedError(reason)
    return result if result is None or isinstance(result, Mapping) else str(result)


def _not_implemented(result: object) -> str | None:
    """The words in which the application says that it has no code for a type, or None."""
    value = json_value(result) if isinstance(result, str) else result
    if not isinstance(value, Mapping) or value.get("status") != "skipped":
        return None
    texts = (text for text in value.values() if isinstance(text, str))
    return next((printable(text) for text in texts if _NOT_IMPLEMENTED in text.lower()), None)
