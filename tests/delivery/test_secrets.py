"""Where secrets come from, which files are refused, and that none shows up in an error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jarvis_trio.delivery.secrets import Secrets, reference
from jarvis_trio.errors import DeliveryError


def secrets_file(folder: Path, text: str, mode: int = 0o600, name: str = "secrets.env") -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    secrets = Secrets({"A": "environment", "EMPTY": ""}, secrets_file(tmp_path, "A=file\nB=file\nEMPTY=file\n").parent)
    assert [secrets.get(name) for name in ("A", "B", "EMPTY", "C")] == ["environment", "file", "file", None]


def test_the_file_has_comments_blank_lines_quotes_and_exports(tmp_path: Path) -> None:
    text = "# mine\n\nexport A = 'x y'\nB=\"z\"\nC=https://h/p?a=b#c\nD='\n"
    secrets = Secrets({}, secrets_file(tmp_path, text).parent)
    assert [secrets.get(name) for name in "ABCD"] == ["x y", "z", "https://h/p?a=b#c", "'"]


def test_the_file_is_read_anew_so_that_a_change_needs_no_restart(tmp_path: Path) -> None:
    path = secrets_file(tmp_path, "A=old")
    secrets = Secrets({}, path.parent)
    assert secrets.get("A") == "old"
    path.write_text("A=new")
    assert secrets.get("A") == "new"


def test_the_file_of_version_1_is_still_read_and_the_new_one_goes_before_it(tmp_path: Path) -> None:
    secrets_file(tmp_path, "A=old\nB=old\n", name="delivery-secrets.env")
    assert Secrets({}, tmp_path).get("A") == "old"
    secrets_file(tmp_path, "A=new\n")
    assert [Secrets({}, tmp_path).get(name) for name in "AB"] == ["new", "old"]


def test_a_missing_secret_says_where_to_set_it(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    with pytest.raises(DeliveryError, match=f"^TOKEN is not set; set it in the environment or in {path}$"):
        Secrets({}, path.parent).require("TOKEN")
    with pytest.raises(DeliveryError, match=r"^TOKEN is not set; set it in the environment$"):
        Secrets({}, None).require("TOKEN")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o602, 0o700])
def test_a_file_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = secrets_file(tmp_path, "A=hidden", mode)
    with pytest.raises(DeliveryError, match=rf"mode {mode:04o}\); run: chmod 600 {path}$"):
        Secrets({}, path.parent).get("A")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = secrets_file(tmp_path, "A=hidden")
    os.chown(path, 12345, -1)
    with pytest.raises(DeliveryError, match="belongs to user 12345"):
        Secrets({}, path.parent).get("A")


def test_a_link_to_an_open_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "secrets.env"
    path.symlink_to(secrets_file(tmp_path / "elsewhere", "A=hidden", 0o644))
    with pytest.raises(DeliveryError, match="mode 0644"):
        Secrets({}, path.parent).get("A")


def test_a_file_that_no_person_has_written_is_refused(tmp_path: Path) -> None:
    os.truncate(secrets_file(tmp_path, ""), 2**40)
    with pytest.raises(DeliveryError, match=r"cannot read the secrets file .*: it is larger than 16 MiB"):
        Secrets({}, tmp_path).get("A")


def test_what_is_no_plain_file_is_refused_at_once(tmp_path: Path) -> None:
    fifo = tmp_path / "secrets.env"
    os.mkfifo(fifo, 0o600)
    with pytest.raises(DeliveryError, match="is not a plain file"):
        Secrets({}, tmp_path).get("A")
    fifo.unlink()
    fifo.mkdir()
    with pytest.raises(DeliveryError, match="cannot read the secrets file"):
        Secrets({}, tmp_path).get("A")


@pytest.mark.parametrize("line", ["hunter22", "two words=hunter22", "=hunter22"])
def test_a_line_that_is_no_assignment_is_refused_by_number_alone(tmp_path: Path, line: str) -> None:
    with pytest.raises(DeliveryError, match=r"^line 2 of the secrets file .* is not NAME=value$") as caught:
        Secrets({}, secrets_file(tmp_path, f"A=b\n{line}\n").parent).get("X")
    assert "hunter22" not in str(caught.value)


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = secrets_file(tmp_path, "")
    path.write_bytes(b"A=\xff\xfe")
    with pytest.raises(DeliveryError, match="cannot read the secrets file"):
        Secrets({}, path.parent).get("A")


@pytest.mark.parametrize(
    ("secret", "leaks", "stays"),
    [
        ("hunter22", "t hunter22", []),
        ("smtp://me:p%40ss@mail.example.org:587", "p@ss p%40ss", ["me", "mail.example.org", "587"]),
        ("smtp://me:a/b:c@d@mail.example.org", "a/b:c@d", ["mail.example.org"]),
        ("smtp://me:x@mail.example.org:587", "me:x@", ["587"]),
        ("https://h.example.org/workflows/abcd1234?sig=Zm9v&v=1", "/workflows/abcd1234 Zm9v", ["h.example.org"]),
        ("tgram://987654321:AbCdEf-Gh/-100200300", "987654321 AbCdEf-Gh -100200300", ["tgram"]),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnl", "t T1JJ3T3L2 A1BRTD4JD TIiajkdnl", ["slack"]),
    ],
)
def test_neither_a_secret_nor_a_private_part_of_it_passes(secret: str, leaks: str, stays: list[str]) -> None:
    secrets = Secrets({"S": secret}, None)
    secrets.require("S")
    shown = secrets.redact(f"cannot reach {secret}: {leaks}; {' '.join(stays)}")
    assert secret not in shown
    for leak in leaks.split(" "):
        assert len(leak) == 1 or leak not in shown
    for public in stays:
        assert public in shown


def test_no_rest_of_a_secret_is_left_where_one_part_begins_another() -> None:
    secrets = Secrets({}, None)
    secrets.conceal("tgram://abcd/abcdefgh")
    assert secrets.redact("no such chat: abcdefgh") == "no such chat: ***"


def test_a_public_value_may_be_shown() -> None:
    secrets = Secrets({"FROM": "me@example.org"}, None)
    assert secrets.get("FROM", public=True) == "me@example.org"
    assert secrets.redact("refused for me@example.org") == "refused for me@example.org"


def test_only_a_whole_value_refers_to_a_secret() -> None:
    assert [reference(text) for text in ("env:A_1", "$A_1", "https://h/$A", "env:", "$1", "${A}")] == [
        "A_1", "A_1", None, None, None, None,
    ]  # fmt: skip
