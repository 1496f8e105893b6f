"""What a channel is given besides its configuration: the machine that it speaks through."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from jarvis_trio.delivery.message import Message
from jarvis_trio.delivery.secrets import Secrets


@dataclass(frozen=True, slots=True)
class Host:
    """The machine that a message leaves from.

    `platform` is a value of `sys.platform`. `timeout` bounds each program and each wait for
    the network.
    """

    environment: Mapping[str, str]
    secrets: Secrets
    platform: str
    timeout: timedelta

    @property
    def timeout_seconds(self) -> float:
        """The timeout as the standard library takes it."""
        return self.timeout.total_seconds()


Sender = Callable[[Message, Host], str]
"""Hands a message over and returns a short account of where it went, without secrets."""


def is_loopback(hostname: str) -> bool:
    """Whether what is sent to `hostname` stays on this machine."""
    try:
        return hostname == "localhost" or ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return False
