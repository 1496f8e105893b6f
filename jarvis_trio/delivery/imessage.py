"""An iMessage by the Messages app: `{recipient | chat_identifier, body_template}`; macOS only."""

from __future__ import annotations

from jarvis_trio.delivery.host import Host, Sender
from jarvis_trio.delivery.message import BODY, TITLE, Config, Message, one_line, template
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


def prepare(config: Config) -> Sender:
    """A sender to the row's chat, or else to its recipient: a telephone number or an address."""
    body = template(config, "body_template", f"{TITLE}\n{BODY}")
    kind = "chat_identifier" if config.get("chat_identifier") else "recipient"
    target = config.get(kind)
    if not isinstance(target, str) or not one_line(target):
        raise DeliveryError('recipient must be text such as "+15550100" or "me@example.org", or name a chat_identifier')

    def send(message: Message, host: Host) -> str:
        missing = "iMessage needs macOS with the Messages app"
        applescript(host, _SCRIPT, kind, one_line(target), message.text(body), missing=missing)
        return f"handed to Messages for {one_line(target)}"

    return send
