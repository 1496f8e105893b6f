"""A notification on this machine's desktop: `{title_template, body_template, sound}`."""

from __future__ import annotations

import html

from jarvis_trio.delivery.host import Host, Sender
from jarvis_trio.delivery.message import BODY, Config, Message, one_line, template, title
from jarvis_trio.delivery.programs import applescript, run
from jarvis_trio.errors import DeliveryError

SOUND = "default"
_SCRIPT = """\
on run argv
    set {marker, theTitle, theBody, theSound} to argv
    if theSound is "" then
        display notification theBody with title theTitle
    else
        display notification theBody with title theTitle sound name theSound
    end if
end run"""


def prepare(config: Config) -> Sender:
    """A sender with the row's templates and sound; `"sound": ""` is silent."""
    heading = title(config, "title_template", "Task")
    body = template(config, "body_template", BODY)
    sound = config.get("sound", SOUND) or ""
    if not isinstance(sound, str):
        raise DeliveryError(
            f"sound must be the name of a sound, not {sound!r}", fix='write it like "Ping", or "" for none'
        )

    def send(message: Message, host: Host) -> str:
        return show(host, message.line(heading), message.text(body), one_line(sound))

    return send


def show(host: Host, title: str, body: str, sound: str = SOUND) -> str:
    """Show a notification now; on Linux the desktop chooses the sound."""
    if host.platform == "darwin":
        applescript(host, _SCRIPT, title, body, sound, missing="it is a part of macOS, in /usr/bin")
        return "handed to Notification Centre"  # which may be told not to show it: exit 0 is no proof
    # The body is markup to most desktops, the title is not:
    # https://specifications.freedesktop.org/notification-spec/latest/markup.html
    # notify-send reads \\t, \\n ... as escapes in the body (g_strcompress), but not in the title.
    shown = html.escape(body, quote=False).replace("\\", "\\\\")
    arguments = ["--app-name=Jarvis", "--", title, shown]
    failed = "it needs a desktop session, which DBUS_SESSION_BUS_ADDRESS names"
    run(host, "notify-send", *arguments, missing="install it (Debian: libnotify-bin)", failed=failed)
    return "handed to notify-send"
