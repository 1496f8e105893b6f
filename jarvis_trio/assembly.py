"""The composition root: the engine as the settings want it, for `run`, `tick` and `run-now` alike."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from jarvis_trio.clock import Clock
from jarvis_trio.delivery import Channels, read_config
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.notices import AlertChannel, Notices
from jarvis_trio.errors import DeliveryError, SettingError
from jarvis_trio.handlers.making import make_channels, make_handlers
from jarvis_trio.settings import Settings
from jarvis_trio.store import MemoryStore


def make_engine(
    settings: Settings, store: MemoryStore, clock: Clock, environment: Mapping[str, str]
) -> SchedulerEngine:
    """The engine as the settings want it. Secrets of channels come from `environment`."""
    channels = make_channels(settings, environment)
    return SchedulerEngine(
        store,
        clock=clock,
        handlers=make_handlers(settings, channels),
        timeout=timedelta(seconds=settings.handler_timeout_seconds),
        notices=Notices(store, clock, channels.send, _alert_channel(settings, channels)),
        keep_days=settings.history_days,
        keep_runs=settings.history_runs,
    )


def _alert_channel(settings: Settings, channels: Channels) -> AlertChannel | None:
    """Where troubles of tasks are told. Raises SettingError for a channel that cannot work."""
    if not settings.alert_channel:
        return None
    try:
        channels.check(settings.alert_channel, read_config(settings.alert_config, "JARVIS_ALERT_CONFIG"))
    except DeliveryError as error:
        raise SettingError(f"JARVIS_ALERT_CHANNEL {settings.alert_channel!r} cannot be used: {error}") from None
    return AlertChannel(settings.alert_channel, settings.alert_config or None)
