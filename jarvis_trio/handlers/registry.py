"""The handlers: the built-in ones, and those that other packages bring."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from jarvis_trio.errors import HandlerError
from jarvis_trio.handlers.alert_eval import AlertEval, Notify
from jarvis_trio.handlers.custom import Custom
from jarvis_trio.handlers.remind import remind
from jarvis_trio.handlers.webhook_poll import WebhookPoll
from jarvis_trio.models import COMMAND_TYPE, Handler, HandlerContext, HandlerResult, ScheduledTask
from jarvis_trio.notation.text import printable

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "jarvis_trio.handlers"
"""The group in which a package registers its handlers; an entry's name is the handler type."""

_logger = logging.getLogger(__name__)


def built_in(*, inbox_dir: Path, commands: Custom, notify: Notify) -> dict[str, Handler]:
    """The handlers that come with the program, by type.

    Args:
        inbox_dir: where webhook files are dropped.
        commands: runs the commands of `custom` tasks.
        notify: shows the person an alert's title and text.
    """
    return {
        "alert_eval": AlertEval(notify),
        COMMAND_TYPE: commands,
        "remind": remind,
        "webhook_poll": WebhookPoll(inbox_dir),
    }


def installed() -> dict[str, Handler]:
    """The handlers that installed packages register, by type.

    Each handler is imported at its first call.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415  # 15 ms, and most never need it

    return {entry.name: _Plugin(entry) for entry in entry_points(group=ENTRY_POINTS)}


class Handlers(Mapping[str, Handler]):
    """Handlers by type: the given ones, and beside them those of installed packages.

    Packages are looked for when the first type is asked for that was not given. A given type wins
    over an installed one, and the log says so.
    """

    def __init__(self, given: Mapping[str, Handler]) -> None:
        self._given = given

    def __getitem__(self, handler_type: str) -> Handler:
        return self._given[handler_type] if handler_type in self._given else self._installed[handler_type]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._installed, **self._given})

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @cached_property
    def _installed(self) -> dict[str, Handler]:
        found = installed()
        for handler_type in found.keys() & self._given.keys():
            _logger.warning("An installed handler %r is passed over, because that type is built in", handler_type)
        return found


class _Plugin:
    """An installed handler, imported at its first call."""

    def __init__(self, entry: EntryPoint) -> None:
        self._entry = entry

    def __call__(self, task: ScheduledTask, context: HandlerContext) -> HandlerResult:
        return self._handler(task, context)

    @property
    def grace(self) -> timedelta:
        """The handler's own grace, once the handler is imported.

        The engine asks, and it must not trigger an import.
        """
        grace: timedelta = getattr(vars(self).get("_handler"), "grace", timedelta(0))
        return grace

    @cached_property
    def _handler(self) -> Handler:
        entry = self._entry
        what, package = f"handler {entry.name!r} ({entry.value})", entry.dist.name if entry.dist else "its package"
        try:
            handler = entry.load()
        except (ImportError, AttributeError, SyntaxError) as error:
            says = f"{what} cannot be imported: {printable(str(error))}"
            raise HandlerError(says, fix=f"fix or reinstall {package}") from error
        if not callable(handler):
            raise HandlerError(f"{what} cannot be called", fix=f"fix {package}")
        return handler  # type: ignore[no-any-return]  # whether it takes these arguments shows when it is called
