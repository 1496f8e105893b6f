"""An iMessage by the Messages app: `{recipient | chat_identifier, body_template}`; macOS only."""

from __future__ import annotations

from jarvis_trio.delivery.host import Host, Sender
from jarvis_trio.delivery.message import BODY, Config, Message, one_line, template
from jarvis_trio.delivery.programs import applescript
from jarvis_trio.errors import DeliveryError

# The id of a chat is SERVICE;+;IDENTIFIER for a group and SERVICE;-;IDENTIFIER for a person.
_SCRIPT = """\
on run argv
    set {marker, targetKind, theTarget, theBody} to argv
    tell application "Messages"
        if targetKind is "recipient" then
            set theAccount to first account whose service type is iMessage
            send theBody to participant theTarget of theAccount
        else if theTarget contains ";" then
            send theBody to (first chat whose id is theTarget)
        else
            send theBody to (first chat whose id ends with (";" & theTarget))
        end if
    end tell
end run"""


_OWN_HANDLE = "JARVIS_IMESSAGE_SELF"


def prepare(config: Config) -> Sender:
    """A sender to the row's chat, or else to its recipient.

    A recipient is a telephone number, an address, or `self`.
    """
    body = template(config, "body_template", BODY, f"$task_name: $status\n{BODY}")
    kind = "chat_identifier" if config.get("chat_identifier") else "recipient"
    named = config.get(kind)
    if not isinstance(named, str) or not one_line(named):
        raise DeliveryError(
            "nobody is named to send to" if named is None else f"recipient must be text, not {named!r}",
            fix='write it like "+15550100", "me@example.org" or "self", or name a chat_identifier',
        )

    def send(message: Message, host: Host) -> str:
        target = _own_handle(host) if (kind, named) == ("recipient", "self") else one_line(named)
        missing = "iMessage needs macOS with the Messages app"
        applescript(host, _SCRIPT, kind, target, message.text(body), missing=missing)
        return f"handed to Messages for {target}"

    return send


def _own_handle(host: Host) -> str:
    handle = host.secrets.get(_OWN_HANDLE, public=True)
    if handle is None:
        raise DeliveryError(f"recipient is self, but {_OWN_HANDLE} is not set", fix=f"set it in {host.secrets.places}")
    return one_line(handle)
