"""What an engine works with besides its store: the handlers, and the channels to people."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from jarvis_trio.clock import Clock
from jarvis_trio.engine.deliveries import AlertChannel
from jarvis_trio.engine.notices import Notices
from jarvis_trio.handlers.making import make_channels, make_handlers
from jarvis_trio.handlers.outputs import Outputs
from jarvis_trio.models import Handler
from jarvis_trio.settings import Settings, read_settings
from jarvis_trio.store import MemoryStore


class Equipment(NamedTuple):
    """The handlers by type, what tells people of runs, and what commands wrote."""

    handlers: Mapping[str, Handler]
    notices: Notices
    outputs: Outputs


def equip(
    store: MemoryStore,
    settings: Settings | None = None,
    environment: Mapping[str, str] = os.environ,
    alerts: AlertChannel | None = None,
    clock: Clock | None = None,
) -> Equipment:
    """Make what an engine of `store` needs.

    Args:
        store: the database. Without `settings`, files lie beside it.
        settings: the program's settings; by default those of nobody.
        environment: has the secrets of channels.
        alerts: the channel to which troubles are told.
        clock: the engine's; by default the store's.
    """
    settings = settings or read_settings({}, store.path.parent)
    channels = make_channels(settings, environment)
    return Equipment(
        make_handlers(settings, channels, environment),
        Notices(store, clock or store.clock, channels.send, alerts),
        Outputs(settings.outputs_dir),
    )
