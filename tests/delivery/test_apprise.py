"""The apprise channel: with the real library where it is installed, and its absence where it is not."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from jarvis_trio.delivery import Channels
from jarvis_trio.errors import DeliveryError
from tests.support.delivery_fakes import MESSAGE, WebServer, serving, silent_server


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)  # the import system's own mark for what cannot be imported
    with pytest.raises(DeliveryError, match=r"run: .*python.* -m pip install apprise"):
        Channels({}, None).send("apprise", {"urls": "json://127.0.0.1"}, MESSAGE)


def test_a_secret_that_is_not_set_is_named() -> None:
    with pytest.raises(DeliveryError, match=r"^apprise: PUSH_URL is not set"):
        Channels({}, None).send("apprise", {"urls": ["env:PUSH_URL"]}, MESSAGE)


@pytest.fixture
def root_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a daemon's log would hold. (caplog listens to each logger that does not propagate, too.)"""
    monkeypatch.setattr(logging.getLogger("apprise"), "propagate", True)
    handler = logging.StreamHandler(io.StringIO())
    logging.getLogger().addHandler(handler)
    yield handler.stream
    logging.getLogger().removeHandler(handler)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the library's own imports
class TestWithTheLibrary:
    @pytest.fixture(autouse=True)
    def _library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("apprise", reason="an optional dependency")
        monkeypatch.setenv("no_proxy", "*")

    def test_every_service_gets_title_and_body(self) -> None:
        with serving(WebServer(status=200)) as web:
            url = web.url.replace("http://", "json://me:hunter22@")
            config = {"urls": ["env:PUSH_URL", f"{url}/plain"], "title_template": "$task_name"}
            account = Channels({"PUSH_URL": f"{url}/named"}, None).send("apprise", config, MESSAGE)
        assert account == "accepted by 2 services of Apprise"
        assert sorted(post["path"] for post in web.posts) == ["/named", "/plain"]
        told = json.loads(web.posts[0]["body"])
        assert (told["title"], told["message"]) == ("backup", "files: 12")

    @pytest.mark.parametrize("named", [True, False])
    def test_a_refusal_is_told_without_the_url(self, named: bool) -> None:
        with serving(WebServer(status=500)) as web:
            url = web.url.replace("http://", "json://me:hunter22@") + "/t0kenPath"
            channels = Channels({"PUSH_URL": url}, None)
            with pytest.raises(DeliveryError, match=r"^apprise: 0 of 1 service took it: ") as caught:
                channels.send("apprise", {"urls": ["$PUSH_URL" if named else url]}, MESSAGE)
        assert "hunter22" not in str(caught.value)
        assert "t0kenPath" not in str(caught.value)

    def test_a_plain_url_is_a_secret_too(self) -> None:
        with silent_server() as port:
            pass
        with pytest.raises(DeliveryError, match="Connection error") as caught:
            Channels({}, None).send("apprise", {"urls": f"json://127.0.0.1:{port}"}, MESSAGE)
        assert "127.0.0.1" not in str(caught.value)  # elsewhere that place is a token's: tgram://TOKEN/CHAT

    def test_a_result_is_plain_text_also_for_a_service_that_shows_html(self) -> None:
        with serving(WebServer(status=200)) as web:
            url = web.url.replace("http", "json") + "?format=html"
            Channels({}, None).send("apprise", {"urls": url, "body_template": "<b>1 < 2</b>"}, MESSAGE)
        assert json.loads(web.posts[0]["body"])["message"] == "&lt;b&gt;1&nbsp;&lt;&nbsp;2&lt;/b&gt;"

    @pytest.mark.parametrize("url", ["nonsense://hiddenword", "slack://hiddenword"])
    def test_a_url_that_it_does_not_understand_reaches_neither_error_nor_log(
        self, url: str, root_log: io.StringIO
    ) -> None:
        with pytest.raises(DeliveryError, match="number 1 of urls") as caught:
            Channels({"PUSH_URL": url}, None).send("apprise", {"urls": ["env:PUSH_URL"]}, MESSAGE)
        assert "hiddenword" not in str(caught.value) + root_log.getvalue()
