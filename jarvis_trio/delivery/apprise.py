"""Any service that Apprise knows: `{urls, title_template, body_template}`.

An Apprise URL holds its service's secrets, so `urls` had better name them: `["env:NAME"]`.
"""

from __future__ import annotations

import importlib
import logging
import shlex
import sys
from typing import Any

from jarvis_trio.delivery.host import Host, Sender
from jarvis_trio.delivery.message import BODY, Config, Message, template
from jarvis_trio.delivery.secrets import Secrets, reference
from jarvis_trio.errors import DeliveryError
from jarvis_trio.notation.text import counted


def prepare(config: Config) -> Sender:
    """A sender to every service of the row's `urls`: a list, or a single one."""
    title = template(config, "title_template", "$task_name: $status")
    body = template(config, "body_template", BODY)
    urls = config.get("urls")
    urls = [urls] if isinstance(urls, str) else urls
    if not isinstance(urls, list) or not urls or not all(isinstance(url, str) and url for url in urls):
        raise DeliveryError("urls must be a list of secrets' names", fix='write it like ["env:MY_APPRISE_URL"]')

    def send(message: Message, host: Host) -> str:
        services = _services([_resolved(url, host.secrets) for url in urls])
        # Its synchronous call: the other one belongs to asyncio.
        outcome = services.notify(
            title=message.line(title), body=message.text(body), body_format="text", timeout=host.timeout_seconds
        )
        if not outcome:
            reasons = "; ".join(entry.message for entry in outcome.logs()) or "it gave no reason"
            raise DeliveryError(f"{outcome.success_count} of {counted(len(services), 'service')} took it: {reasons}")
        return f"accepted by {counted(len(services), 'service')} of Apprise"

    return send


def _resolved(url: str, secrets: Secrets) -> str:
    name = reference(url)
    if name is not None:
        return secrets.require(name)
    secrets.conceal(url)
    return url


def _services(urls: list[str]) -> Any:
    # It logs the URLs that it does not understand; what it has to say comes back with its outcome.
    logging.getLogger("apprise").propagate = False
    try:
        # Only here: it costs 0.2 s and 45 MB, and is an optional dependency.
        apprise = importlib.import_module("apprise")
    except ImportError as error:
        install = f"run: {shlex.quote(sys.executable)} -m pip install apprise"
        raise DeliveryError(f"Apprise cannot be imported ({error})", fix=install) from None
    services = apprise.Apprise()
    for number, url in enumerate(urls, start=1):
        if not services.add(url):
            raise DeliveryError(f"Apprise does not understand number {number} of urls")  # not the URL: it holds secrets
    return services
