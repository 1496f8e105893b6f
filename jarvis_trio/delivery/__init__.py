"""Delivery: hands the result of a run to a person, by the channel that the task names.

One module a channel. Each has one function, `prepare(config)`: it refuses a
configuration that cannot work with a DeliveryError, and returns the sender that
hands a message over. To add a channel, write such a module and name it in `CHANNEL_NAMES`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TypeVar, cast

from jarvis_trio.delivery.host import Host, Sender
from jarvis_trio.delivery.message import Config, Message, line, one_line, paragraph, read_config
from jarvis_trio.delivery.secrets import Secrets
from jarvis_trio.errors import DeliveryError
from jarvis_trio.notation.text import nearest, shortened, whole_words

__all__ = ["CHANNEL_NAMES", "Channels", "Message", "read_config"]

CHANNEL_NAMES = ("notification", "email", "imessage", "teams", "webhook", "apprise")
"""What a task can name as its channel."""

_LONGEST_ERROR = 490
_Result = TypeVar("_Result")


class Channels:
    """Every channel, and the border that lets only DeliveryError through.

    `environment` holds secrets and the PATH of the programs that are called;
    `data_dir` may hold the file `secrets.env` (mode 0600) with further
    secrets. `timeout` bounds each program and each wait for the network. Safe to use from
    several threads.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        data_dir: Path | None,
        *,
        platform: str = sys.platform,
        timeout: timedelta = timedelta(seconds=30),
    ) -> None:
        self._environment = environment
        self._data_dir = data_dir
        self._platform = platform
        self._timeout = timeout

    def check(self, channel: str, config: Config) -> None:
        """Refuse with DeliveryError an unknown channel, or a configuration that cannot work.

        Whether secrets are set and programs installed is not asked: the daemon, which
        will need them, may have another environment than the command line.
        """
        self._guarded(channel, lambda host: _prepared(channel, config))

    def send(self, channel: str, config: Config, message: Message) -> str:
        """Hand `message` over. Returns a short account of where it went, without secrets.

        Raises DeliveryError, whatever happens: one line without secrets.
        """
        return self._guarded(channel, lambda host: _prepared(channel, config)(message, host))

    def notify(self, title: str, body: str) -> None:
        """Show a notification on this machine. Raises DeliveryError as `send` does."""
        from jarvis_trio.delivery.notification import show  # noqa: PLC0415  # a channel is imported when it is used

        self._guarded("notification", lambda host: show(host, line(title), paragraph(body)))

    def _guarded(self, channel: str, act: Callable[[Host], _Result]) -> _Result:
        if channel not in CHANNEL_NAMES:
            fix = f"{nearest(channel, CHANNEL_NAMES)}use one of {', '.join(CHANNEL_NAMES)}"
            raise DeliveryError(one_line(f"unknown channel {channel[:80]!r}"), fix=fix)
        secrets = Secrets(self._environment, self._data_dir)
        fix = ""
        try:
            return act(Host(self._environment, secrets, self._platform, self._timeout))
        except DeliveryError as error:
            reason, fix = error.says, error.fix
        # Border of law 4: whatever breaks in a channel must not break the run. Apprise's services
        # may raise SystemExit. KeyboardInterrupt comes from the person at the terminal, and passes.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            reason = whole_words(error)
        # Raise here, not in an `except`: the first error would be the context, and hold secrets.
        fix = one_line(secrets.redact(fix))
        says = one_line(secrets.redact(f"{channel}: {reason}"))
        raise DeliveryError(shortened(says, _LONGEST_ERROR - len(fix)), fix=fix)


def _prepared(channel: str, config: Config) -> Sender:
    # By name: no start pays for what no task uses, and a new channel is a module and its name.
    return cast(Sender, importlib.import_module(f"{__name__}.{channel}").prepare(config))
