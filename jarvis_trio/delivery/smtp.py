"""Hands a mail to a server by SMTP (RFC 5321)."""

from __future__ import annotations

import smtplib
import ssl
from contextlib import suppress
from email.message import EmailMessage
from urllib.parse import SplitResult, unquote, urlsplit

from jarvis_trio.delivery.host import is_loopback
from jarvis_trio.errors import DeliveryError

URL_EXAMPLE = "smtp://user:password@mail.example.org:587"
# What we call ourselves. smtplib would ask DNS for our name, which knows no time limit.
_OUR_NAME = "[127.0.0.1]"

_GOODBYE_SECONDS = 1.0
"""How long we wait for anything that the server says at the end."""


def parse_url(url: str, name: str) -> SplitResult:
    """The parts of `smtp://user:password@host:port` or `smtps://...`.

    The port may be missing, and so may user and password. Raises DeliveryError, which says `name`
    instead of the URL, as that holds the password.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme in ("smtp", "smtps") and parts.hostname and parts.port != 0:
            return parts
    except ValueError:  # `port` raises it for text that is not a number
        pass
    raise DeliveryError(f"{name} must be like {URL_EXAMPLE} (or smtps://), with special characters percent-encoded")


def deliver(server: SplitResult, mail: EmailMessage, timeout_seconds: float) -> str:
    """Hand `mail` over; says to whom it went. `timeout_seconds` bounds each wait for the server.

    Raises DeliveryError if the server took it for nobody.
    """
    where = f"{server.hostname}:{server.port}" if server.port else str(server.hostname)
    try:
        smtp = _connection(server, timeout_seconds)
        try:
            if server.username:
                smtp.login(unquote(server.username), unquote(server.password or ""))
            refused = smtp.send_message(mail)
        finally:
            _leave(smtp)
    except OSError as error:  # SMTPException is one
        raise DeliveryError(f"mail server {where}: {_reason(error)}") from None
    # Told, not raised: a further attempt would send it again to those who have it.
    return f"mailed to {mail['To']} by {where}" + (f"; refused for {_refusals(refused)}" if refused else "")


def _leave(smtp: smtplib.SMTP) -> None:
    """Say goodbye. By then the server has the mail or has refused it, whatever it answers."""
    # smtplib's `with` raises for every answer but 221, and `quit` waits for each line of it: a mail
    # that was taken would go out again.
    with suppress(OSError):
        if smtp.sock is not None:
            smtp.sock.settimeout(_GOODBYE_SECONDS)
            smtp.putcmd("quit")
            smtp.sock.recv(1)
    smtp.close()


def _connection(server: SplitResult, timeout_seconds: float) -> smtplib.SMTP:
    """A connection, encrypted if the server can.

    A password never leaves the machine in the clear.
    """
    host, local = server.hostname or "", is_loopback(server.hostname or "")
    context = ssl.create_default_context()
    if local:  # mail bridges on loopback certify themselves, and there is nobody in between
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if server.scheme == "smtps":
        return smtplib.SMTP_SSL(host, server.port or 465, _OUR_NAME, timeout=timeout_seconds, context=context)
    smtp = smtplib.SMTP(host, server.port or (587 if server.username else 25), _OUR_NAME, timeout=timeout_seconds)
    try:
        smtp.ehlo_or_helo_if_needed()
        if smtp.has_extn("starttls"):
            smtp.starttls(context=context)
        elif server.username and not local:
            raise DeliveryError(
                f"mail server {host} offers no encryption, so the password was not sent", fix="use smtps://"
            )
    except BaseException:
        smtp.close()
        raise
    return smtp


def _reason(error: OSError) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_text(error.smtp_error)}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return f"refused for {_refusals(error.recipients)}"
    return str(error) or type(error).__name__


def _refusals(recipients: dict[str, tuple[int, bytes]]) -> str:
    return ", ".join(f"{address} ({code} {_text(text)})" for address, (code, text) in recipients.items())


def _text(answer: bytes | str) -> str:
    return answer if isinstance(answer, str) else answer.decode(errors="replace")
