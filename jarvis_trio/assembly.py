"""The composition root: the engine as the settings want it, for `run`, `tick` and `run-now` alike."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from jarvis_trio.application.source import HandlerSource
from jarvis_trio.clock import Clock
from jarvis_trio.delivery import Channels, read_config
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.notices import AlertChannel, Notices
from jarvis_trio.errors import DeliveryError, SettingError
from jarvis_trio.handlers.making import make_channels, make_handlers
from jarvis_trio.models import Handler
from jarvis_trio.settings import Settings
from jarvis_trio.store import MemoryStore

if TYPE_CHECKING:
    from jarvis_trio.application.handlers import Runs


def make_engine(
    settings: Settings,
    store: MemoryStore,
    clock: Clock,
    environment: Mapping[str, str],
    source: HandlerSource | None = None,
) -> SchedulerEngine:
    """The engine as the settings want it. Secrets of channels come from `environment`.

    Tasks of types that are not ours go to the application that `source` names, if there is one.
    """
    channels = make_channels(settings, environment)
    handlers: Mapping[str, Handler] = make_handlers(settings, channels)
    if source is not None:
        handlers = make_runs(settings, environment, source).beside(handlers)
    return SchedulerEngine(
        store,
        clock=clock,
        handlers=handlers,
        timeout=timedelta(seconds=settings.handler_timeout_seconds),
        notices=Notices(store, clock, channels.send, _alert_channel(settings, channels)),
        keep_days=settings.history_days,
        keep_runs=settings.history_runs,
    )


def make_runs(settings: Settings, environment: Mapping[str, str], source: HandlerSource) -> Runs:
    """The handler that hands tasks to an application, with its file of variables in the data folder."""
    from jarvis_trio.application.handlers import ENVIRONMENT_FILE, Runs  # noqa: PLC0415  # 5 ms, which few need

    return Runs(source, settings.memory_db_path, environment, settings.data_dir / ENVIRONMENT_FILE)


def _alert_channel(settings: Settings, channels: Channels) -> AlertChannel | None:
    """Where troubles of tasks are told. Raises SettingError for a channel that cannot work."""
    if not settings.alert_channel:
        return None
    try:
        channels.check(settings.alert_channel, read_config(settings.alert_config, "JARVIS_ALERT_CONFIG"))
    except DeliveryError as error:
        raise SettingError(f"JARVIS_ALERT_CHANNEL {settings.alert_channel!r} cannot be used: {error}") from None
    return AlertChannel(settings.alert_channel, settings.alert_config or None)
