"""A mail: `{to, subject_template, body_template}`.

By SMTP if `JARVIS_SMTP_URL` is set, else by the Mail app of macOS.
"""

from __future__ import annotations

import email.policy
import re
from contextlib import suppress
from datetime import datetime
from email.message import EmailMessage
from email.utils import formataddr, getaddresses, make_msgid, parseaddr
from urllib.parse import SplitResult, unquote

from jarvis_trio.delivery import smtp
from jarvis_trio.delivery.host import Host, Sender
from jarvis_trio.delivery.message import BODY, Config, Message, template, title
from jarvis_trio.delivery.programs import applescript
from jarvis_trio.errors import DeliveryError

_URL = "JARVIS_SMTP_URL"
_FROM = "JARVIS_MAIL_FROM"
# Not every server offers 8BITMIME (RFC 6152), so text that is not ASCII goes out encoded.
_SEVEN_BITS = email.policy.SMTP.clone(cte_type="7bit")
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\\\"@]+@[^\s<>()\[\],;:\\\"@]+")
_SCRIPT = """\
on run argv
    set {marker, theSubject, theBody} to items 1 thru 3 of argv
    tell application "Mail"
        set theMail to make new outgoing message with properties {subject:theSubject, content:theBody, visible:false}
        repeat with theAddress in items 4 thru -1 of argv
            set theTarget to contents of theAddress
            tell theMail to make new to recipient at end of to recipients with properties {address:theTarget}
        end repeat
        send theMail
    end tell
end run"""


def prepare(config: Config) -> Sender:
    """A sender to the row's `to`: one address, several with commas between them, or a list."""
    subject = title(config, "subject_template", "Scheduled task")
    body = template(config, "body_template", BODY)
    to = _recipients(config.get("to"))

    def send(message: Message, host: Host) -> str:
        url = host.secrets.get(_URL)
        if url is None:
            missing = f"without macOS's Mail app set {_URL} in {host.secrets.places}, as in {smtp.URL_EXAMPLE}"
            applescript(host, _SCRIPT, message.line(subject), message.text(body, None), *to, missing=missing)
            return f"handed to Mail for {', '.join(to)}"
        server = smtp.parse_url(url, _URL)
        mail = _envelope(_sender(host, server, to[0]), to, message.timestamp)
        mail["Subject"] = message.line(subject)
        mail.set_content(message.text(body, None))
        return smtp.deliver(server, mail, host.timeout_seconds)

    return send


def _recipients(to: object) -> list[str]:
    if to is None:
        raise DeliveryError("nobody is named to send to", fix='write it like {"to": "me@example.org"}')
    texts = [to] if isinstance(to, str) else to
    if isinstance(texts, list) and all(isinstance(text, str) and text.isprintable() for text in texts):
        found = [_in_ascii(address) for _, address in getaddresses(texts)]
        if found and all(_ADDRESS.fullmatch(address) for address in found):
            return found
    raise DeliveryError(f"to must be an address, or a list of them, not {to!r}", fix='write it like "me@example.org"')


def _in_ascii(address: str) -> str:
    """The address with its domain as DNS has to see it.

    `me@bücher.example` becomes `me@xn--bcher-kva.example`.
    """
    local, at, domain = address.rpartition("@")
    with suppress(UnicodeError):
        return f"{local}{at}{domain.encode('idna').decode('ascii')}"
    return address


def _sender(host: Host, server: SplitResult, recipient: str) -> str:
    user = unquote(server.username or "")
    # A server without login has no account to name; the person who is written to is known there.
    account = f"{user}@{server.hostname}" if user and "@" not in user else user or recipient
    sender = host.secrets.get(_FROM, public=True) or account
    name, address = parseaddr(sender)
    if not _ADDRESS.fullmatch(_in_ascii(address)) or not sender.isprintable():
        raise DeliveryError(f"set {_FROM} to the sender's address, such as jarvis@example.org, not {sender!r}")
    return formataddr((name, _in_ascii(address))) if name else _in_ascii(address)


def _envelope(sender: str, to: list[str], timestamp: str) -> EmailMessage:
    mail = EmailMessage(_SEVEN_BITS)
    mail["From"] = sender
    mail["To"] = ", ".join(to)
    with suppress(ValueError):  # a server adds a missing date (RFC 6409, section 8.2)
        mail["Date"] = datetime.fromisoformat(timestamp)
    mail["Message-ID"] = make_msgid(domain=parseaddr(sender)[1].rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notice comes back
    return mail
