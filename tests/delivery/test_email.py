"""Mail by SMTP, against a real server on loopback."""

from __future__ import annotations

import email.policy
import shutil
import ssl
import subprocess
from contextlib import AbstractContextManager
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from jarvis_trio.delivery import Channels, Message
from jarvis_trio.errors import DeliveryError
from tests.support.core_fakes import finish, in_thread
from tests.support.delivery_fakes import MESSAGE, MailServer, serving, silent_server

TO = {"to": "you@example.org"}
SENDER = "Jarvis <jarvis@example.org>"
PASSWORD = "p@ss/w:rd"
QUOTED = "p%40ss%2Fw%3Ard"


def server(**options: Any) -> AbstractContextManager[MailServer]:
    return serving(MailServer(**options))


def channels(url: str, sender: str = SENDER, timeout_seconds: float = 20) -> Channels:
    environment = {"JARVIS_SMTP_URL": url, "JARVIS_MAIL_FROM": sender}
    return Channels(environment, None, timeout=timedelta(seconds=timeout_seconds))


def received(smtp: MailServer) -> EmailMessage:
    [mail] = smtp.mails
    parsed = email.message_from_bytes(mail["data"], policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def test_a_mail_arrives_as_it_was_written() -> None:
    told = Message("naïve 日本", "error", '{"reason": "disk full", "line": "' + "x" * 2000 + '"}', MESSAGE.timestamp)
    with server() as smtp:
        config = {"to": ["you@example.org", "Other <other@example.org>"], "body_template": ".\n$result"}
        account = channels(f"smtp://127.0.0.1:{smtp.port}").send("email", config, told)
    assert account == f"mailed to you@example.org, other@example.org by 127.0.0.1:{smtp.port}"
    assert smtp.mails[0]["to"] == ["you@example.org", "other@example.org"]
    mail = received(smtp)
    assert mail["From"] == SENDER
    assert mail["To"] == "you@example.org, other@example.org"
    assert mail["Subject"] == "Scheduled task: naïve 日本: error"
    assert mail["Date"].datetime.isoformat() == MESSAGE.timestamp
    assert mail["Message-ID"].endswith("@example.org>")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content().replace("\r\n", "\n") == ".\nreason: disk full\nline: " + "x" * 2000 + "\n"


def test_a_server_without_8bitmime_gets_ascii_alone() -> None:
    told = Message("naïve", "executed", "日本 " * 100, MESSAGE.timestamp)
    with server() as smtp:
        channels(f"smtp://127.0.0.1:{smtp.port}").send("email", TO, told)
    assert smtp.mails[0]["data"].isascii()
    assert received(smtp).get_content().strip() == ("日本 " * 100).strip()


def test_a_domain_in_any_script_is_written_as_dns_has_it() -> None:
    with server() as smtp:
        sender = "Jarvis <jarvis@bücher.example>"
        channels(f"smtp://127.0.0.1:{smtp.port}", sender).send("email", {"to": "me@例え.jp"}, MESSAGE)
    assert smtp.mails[0]["to"] == ["me@xn--r8jz45g.jp"]
    assert received(smtp)["From"] == "Jarvis <jarvis@xn--bcher-kva.example>"


def test_a_mail_is_sent_whole() -> None:
    with server() as smtp:
        told = Message("long", "executed", "word " * 10_000, MESSAGE.timestamp)
        channels(f"smtp://127.0.0.1:{smtp.port}").send("email", TO, told)
    assert received(smtp).get_content().count("word") == 10_000


def test_nothing_in_a_row_makes_a_header_of_its_own() -> None:
    bcc = "\r\nBcc: all@example.org\r\n\r\nbody"
    told = Message(f"name{bcc}\u2028X: 1\x85Y: 2", f"executed{bcc}", bcc, "when\nX: 3")
    with server() as smtp:
        config = {**TO, "subject_template": f"$task_name $status $result $timestamp{bcc}"}
        channels(f"smtp://127.0.0.1:{smtp.port}").send("email", config, told)
    assert smtp.mails[0]["to"] == ["you@example.org"]
    assert set(received(smtp).keys()) <= {
        "From", "To", "Subject", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
        "Content-Transfer-Encoding",
    }  # fmt: skip


def test_it_logs_in_with_the_user_of_the_url() -> None:
    with server(account=("me@example.org", PASSWORD)) as smtp:
        channels(f"smtp://me%40example.org:{QUOTED}@127.0.0.1:{smtp.port}", sender="").send("email", TO, MESSAGE)
    assert received(smtp)["From"] == "me@example.org"


def test_a_user_without_a_domain_sends_as_user_of_that_server() -> None:
    with server(account=("me", PASSWORD)) as smtp:
        channels(f"smtp://me:{QUOTED}@localhost:{smtp.port}", sender="").send("email", TO, MESSAGE)
    assert received(smtp)["From"] == "me@localhost"


def test_without_user_and_sender_it_comes_from_whom_it_goes_to() -> None:
    with server() as smtp:
        url = f"smtp://127.0.0.1:{smtp.port}"
        channels(url, sender="").send("email", {"to": "Me <me@example.org>, you@example.org"}, MESSAGE)
    assert received(smtp)["From"] == "me@example.org"


def test_a_sender_that_is_no_address_is_refused_with_the_setting() -> None:
    with pytest.raises(DeliveryError, match=r"set JARVIS_MAIL_FROM to the sender's address, .* not 'Jarvis'"):
        channels("smtp://127.0.0.1:1", sender="Jarvis").send("email", TO, MESSAGE)


def test_url_and_sender_can_stand_in_the_secrets_file(tmp_path: Path) -> None:
    with server(account=("me", PASSWORD)) as smtp:
        file = tmp_path / "delivery-secrets.env"
        file.touch(0o600)
        file.write_text(
            f"JARVIS_SMTP_URL=smtp://me:{QUOTED}@127.0.0.1:{smtp.port}\nJARVIS_MAIL_FROM=jarvis@example.org\n"
        )
        Channels({}, tmp_path).send("email", TO, MESSAGE)
    assert received(smtp)["From"] == "jarvis@example.org"


def test_a_wrong_password_is_told_in_the_server_s_words_without_the_password() -> None:
    refusal = pytest.raises(DeliveryError, match=r"535 5\.7\.8 wrong user or password")
    with server(account=("me", "another")) as smtp, refusal as caught:
        channels(f"smtp://me:{QUOTED}@127.0.0.1:{smtp.port}").send("email", TO, MESSAGE)
    assert f"127.0.0.1:{smtp.port}" in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert QUOTED not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "smtp://me:hunter22@127.0.0.1:hunter22",
        "smtp://me:hun/ter22@127.0.0.1:25",
        "http://me:hunter22@127.0.0.1",
        "hunter22",
        "smtp://me:hunter22@",
        "smtp://[hunter22",
        "smtp://me:hunter22@127.0.0.1:99999",
    ],
)
def test_a_url_that_is_none_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(DeliveryError, match=r"^email: JARVIS_SMTP_URL must be like smtp://user:password@") as caught:
        channels(url).send("email", TO, MESSAGE)
    assert "ter22" not in str(caught.value)


def test_a_refused_recipient_does_not_make_the_others_get_it_twice() -> None:
    with server(refuses=("gone@example.org",)) as smtp:
        sender = channels(f"smtp://127.0.0.1:{smtp.port}")
        account = sender.send("email", {"to": "you@example.org, gone@example.org"}, MESSAGE)
        assert "refused for gone@example.org (550 5.1.1 no such user)" in account
        with pytest.raises(DeliveryError, match=r"refused for gone@example.org \(550 5.1.1 no such user\)"):
            sender.send("email", {"to": "gone@example.org"}, MESSAGE)
    assert smtp.mails[0]["to"] == ["you@example.org"]


def test_a_server_that_is_not_there_is_an_error() -> None:
    with silent_server() as port:
        pass
    with pytest.raises(DeliveryError, match=f"mail server 127.0.0.1:{port}: .*refused"):
        channels(f"smtp://127.0.0.1:{port}").send("email", TO, MESSAGE)


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_server_that_says_nothing_is_left_after_the_timeout(scheme: str) -> None:
    with silent_server() as port, pytest.raises(DeliveryError, match="timed out"):
        channels(f"{scheme}://127.0.0.1:{port}", timeout_seconds=0.3).send("email", TO, MESSAGE)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A certificate that nobody has reason to trust."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program for a certificate")
    folder = tmp_path_factory.mktemp("tls")
    names = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"), "-subj", "/CN=localhost"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_it_encrypts_before_it_logs_in_where_the_server_can(tls: ssl.SSLContext) -> None:
    with server(account=("me", PASSWORD), tls=tls) as smtp:
        channels(f"smtp://me:{QUOTED}@127.0.0.1:{smtp.port}").send("email", TO, MESSAGE)
    assert smtp.mails[0]["encrypted"]
    verbs = [command.split(" ")[0] for command in smtp.commands]
    assert verbs.index("STARTTLS") < verbs.index("AUTH")


def test_smtps_is_encrypted_from_the_first_byte(tls: ssl.SSLContext) -> None:
    with server(account=("me", PASSWORD), tls=tls, tls_at_once=True) as smtp:
        channels(f"smtps://me:{QUOTED}@127.0.0.1:{smtp.port}").send("email", TO, MESSAGE)
    assert smtp.mails[0]["encrypted"]


# 0.0.0.0 reaches this machine, but is no loopback address: it stands for a server elsewhere.
ELSEWHERE = "0.0.0.0"


@pytest.mark.parametrize("at_once", [False, True])
def test_a_server_elsewhere_must_prove_who_it_is(tls: ssl.SSLContext, at_once: bool) -> None:
    with server(account=("me", PASSWORD), tls=tls, tls_at_once=at_once) as smtp:
        url = f"{'smtps' if at_once else 'smtp'}://me:{QUOTED}@{ELSEWHERE}:{smtp.port}"
        with pytest.raises(DeliveryError, match="certificate verify failed"):
            channels(url).send("email", TO, MESSAGE)
    assert not any(command.startswith("AUTH") for command in smtp.commands)


def test_a_password_is_not_sent_elsewhere_in_the_clear() -> None:
    refusal = pytest.raises(DeliveryError, match="offers no encryption, so the password was not sent")
    with server(account=("me", PASSWORD)) as smtp, refusal:
        channels(f"smtp://me:{QUOTED}@{ELSEWHERE}:{smtp.port}").send("email", TO, MESSAGE)
    assert not any(command.startswith("AUTH") for command in smtp.commands)


@pytest.mark.parametrize("parting", ["250 ok", "421 4.3.2 shutting down"])
def test_a_mail_that_was_taken_is_delivered_however_the_server_parts(parting: str) -> None:
    with server(parting=parting) as smtp:
        account = channels(f"smtp://127.0.0.1:{smtp.port}").send("email", TO, MESSAGE)
    assert account.startswith("mailed to you@example.org")
    assert len(smtp.mails) == 1


def test_a_mail_that_was_taken_is_delivered_though_the_server_hangs_at_the_end() -> None:
    """Else it would count as not delivered, and go out again."""
    accounts: list[str] = []
    with server(parting=None) as smtp:
        url = f"smtp://127.0.0.1:{smtp.port}"
        finish(in_thread(lambda: accounts.append(channels(url).send("email", TO, MESSAGE))))
    assert accounts == [f"mailed to you@example.org by 127.0.0.1:{smtp.port}"]
    assert smtp.commands[-1].upper() == "QUIT"
