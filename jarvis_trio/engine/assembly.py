"""The composition root: the engine that the settings ask for: `run`, `tick` and `run-now`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from jarvis_trio.delivery import read_config
from jarvis_trio.engine.deliveries import AlertChannel
from jarvis_trio.engine.engine import SchedulerEngine
from jarvis_trio.engine.equipment import equip
from jarvis_trio.engine.limits import Limits
from jarvis_trio.engine.peers import Peers
from jarvis_trio.errors import DeliveryError, SettingError
from jarvis_trio.handlers.application.source import HandlerSource
from jarvis_trio.handlers.making import make_application_handler, make_channels
from jarvis_trio.process.machine import machine_identity
from jarvis_trio.settings import Settings
from jarvis_trio.store import MemoryStore

LEAD = timedelta(milliseconds=20)
"""How long before its time a slot is claimed: a loaded machine takes 10 ms to commit a claim."""


def make_engine(
    settings: Settings,
    store: MemoryStore,
    environment: Mapping[str, str],
    source: HandlerSource | None = None,
    peers: Peers | None = None,
) -> SchedulerEngine:
    """The engine that the settings describe, on the store's clock.

    Secrets of channels come from `environment`. Tasks of types that are not ours go to the
    application that `source` names, if there is one. Raises SettingError if the channel for
    troubles cannot work.
    """
    equipment = equip(store, settings, environment, _alert_channel(settings, environment))
    handlers = equipment.handlers
    if source is not None:
        handlers = make_application_handler(settings, environment, source).beside(handlers)
    return SchedulerEngine(
        store,
        handlers=handlers,
        notices=equipment.notices,
        outputs=equipment.outputs,
        peers=peers or make_peers(settings, store),
        timeout=timedelta(seconds=settings.handler_timeout_seconds),
        lead=LEAD,
        limits=Limits(history_days=settings.history_days, history_runs=settings.history_runs),
    )


def make_peers(settings: Settings, store: MemoryStore) -> Peers:
    """This process among those that share the database: on this machine, or on several."""
    local = Peers.beside(settings.memory_db_path)
    if store.here is None:
        return local
    from jarvis_trio.engine.machines import shared_peers  # noqa: PLC0415  # psutil: 20 ms, which a file need not pay

    return shared_peers(store, machine_identity(settings.data_dir), local, guarded=True)


def _alert_channel(settings: Settings, environment: Mapping[str, str]) -> AlertChannel | None:
    if not settings.alert_channel:
        return None
    config = settings.alert_config or None
    try:
        make_channels(settings, environment).check(settings.alert_channel, read_config(config, "JARVIS_ALERT_CONFIG"))
    except DeliveryError as error:
        says = f"JARVIS_ALERT_CHANNEL {settings.alert_channel!r} cannot be used: {error.says}"
        raise SettingError(says, fix=error.fix) from None
    return AlertChannel(settings.alert_channel, config)
