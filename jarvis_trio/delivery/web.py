"""A JSON text for a URL that is a secret: what the channels of the web have in common."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from http.client import HTTPMessage, HTTPResponse
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from jarvis_trio.delivery.host import Host, is_loopback
from jarvis_trio.delivery.secrets import reference
from jarvis_trio.errors import DeliveryError


def secret_url(value: object, key: str, default: str) -> str:
    """The name of the secret that `value`, which stands under `key`, refers to.

    Raises DeliveryError for anything else, without showing it: it may be the URL itself.
    """
    name = reference(str(value))
    if name is None:
        raise DeliveryError(f"{key} must be the name of a secret, not the URL itself", fix=f'write it like "{default}"')
    return name


def checked_url(url: str, name: str) -> str:
    """Return the URL if it does not cross the network in the clear.

    Raises DeliveryError otherwise, which calls the URL `name`.
    """
    try:
        parts = urlsplit(url)
        allowed = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    except ValueError:
        allowed = False
    if not allowed:
        raise DeliveryError(f"{name} must be a URL that starts with https://")
    return url


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Ends a redirect as an error: the message must not go to another place, nor in the clear."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


def post_json(url: str, value: Mapping[str, Any], host: Host, who: str) -> int:
    """Post `value` to `url`, and return the HTTP status.

    Raises DeliveryError, which names `who` and never the URL.
    """
    request = urllib.request.Request(
        url, json.dumps(value, ensure_ascii=False).encode(), {"Content-Type": "application/json; charset=utf-8"}
    )
    # Only this machine is spoken to without encryption (`checked_url`), and a proxy is another one.
    direct = [urllib.request.ProxyHandler({})] if urlsplit(url).scheme == "http" else []
    opener = urllib.request.build_opener(_NoRedirect, *direct)
    try:
        response: HTTPResponse
        with opener.open(request, timeout=host.timeout_seconds) as response:
            return response.status
    except HTTPError as error:
        with error:
            raise DeliveryError(f"{who} refused it: HTTP {error.code} {error.reason}") from None
    except OSError as error:
        raise DeliveryError(f"cannot reach {who}: {error}") from None
