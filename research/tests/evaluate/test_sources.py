from __future__ import annotations

from threading import Timer
from time import sleep
from typing import Any

import msgspec
import pytest

from jupyter_turbopilot.protocol.errors import BadRequestError, TurbopilotError
from jupyter_turbopilot.protocol.request import Cell, Completion
from turbopilot_research.evaluate import replay, sources, traces
from turbopilot_research.evaluate.sources import DIALECTS, MAX_TOKENS, UrlSource, public

from .completion_server import FRAMES, completing

REQUEST = Completion(
    cells=[Cell(source="a = 1"), Cell(source="b = \nc = 2"), Cell(source="d = 3")],
    active=1,
    offset=4,
    trigger="automatic",
)
PREFIX, SUFFIX = "a = 1\n\nb = ", "\nc = 2"


@pytest.mark.parametrize("path", FRAMES)
def test_url_source_returns_the_first_line_before_the_answer_ends(path: str) -> None:
    with completing("a + 1\nmore") as server, UrlSource(server.url(path), "small") as source:
        server.more.clear()
        reply = source.last(REQUEST)
        assert [item.text for item in reply.items] == ["a + 1"]
        assert server.left.wait(5)
        assert server.asked[-1]["model"] == "small"
        assert server.asked[-1]["stream"] is True


@pytest.mark.parametrize(
    ("path", "template", "sent"),
    [
        ("/infill", "", {"input_prefix": PREFIX, "input_suffix": SUFFIX, "n_predict": MAX_TOKENS}),
        ("/v1/completions", "", {"prompt": PREFIX, "suffix": SUFFIX, "max_tokens": MAX_TOKENS}),
        ("/v1/completions", "<{prefix}|{suffix}>", {"prompt": f"<{PREFIX}|{SUFFIX}>"}),
        ("/api/generate", "", {"prompt": PREFIX, "suffix": SUFFIX}),
        ("/api/generate", "<{prefix}|{suffix}>", {"prompt": f"<{PREFIX}|{SUFFIX}>", "raw": True}),
    ],
)
def test_url_source_sends_the_text_around_the_cursor(path: str, template: str, sent: dict[str, Any]) -> None:
    with completing("\n") as server, UrlSource(server.url(path), template=template) as source:
        assert not source.last(REQUEST).items
        assert sent.items() <= server.asked[-1].items()
        assert ("suffix" in server.asked[-1]) == ("suffix" in sent)


def test_url_source_closes_the_connection_of_the_previous_request() -> None:
    with completing("") as server, UrlSource(server.url("/infill")) as source:
        server.more.clear()
        replaced: list[object] = []
        source.submit(REQUEST, replaced.append)
        while len(server.asked) == 1:
            sleep(0.01)
        server.text = "a\n"
        assert source.last(REQUEST).items
        assert server.left.wait(5)
        assert not replaced


def test_url_source_reports_a_line_without_an_end() -> None:
    with completing("") as server, UrlSource(server.url("/infill")) as source:
        server.text = "a" * 2**16
        with pytest.raises(TurbopilotError, match="sent an answer of more than"):
            source.last(REQUEST)


@pytest.mark.parametrize("comment", [": a comment\n", "event: a\n", "\n"])
def test_url_source_limits_bytes_without_text(comment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with completing("") as server, UrlSource(server.url("/infill")) as source:
        monkeypatch.setitem(FRAMES, "/infill", lambda _: comment)
        server.text = "a" * (2**18 // len(comment) + 1)
        with pytest.raises(TurbopilotError, match="sent an answer of more than"):
            source.last(REQUEST)


def test_url_source_limits_the_time_of_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with completing("") as server, UrlSource(server.url("/infill")) as source:
        monkeypatch.setattr(sources, "TIMEOUT", 0.2)
        server.more.clear()
        end = Timer(3, server.more.set)
        end.start()
        with pytest.raises(TurbopilotError, match="TimeoutError"):
            source.last(REQUEST)
        end.cancel()


def test_url_source_does_not_expand_an_answer() -> None:
    with completing("") as server, UrlSource(server.url("/infill")) as source:
        server.text, server.compressed = "a\n", True
        with pytest.raises(TurbopilotError, match="compressed"):
            source.last(REQUEST)
        assert server.encodings == {"identity"}


def test_url_source_sends_no_prefetch() -> None:
    with completing("a\n") as server, UrlSource(server.url("/infill")) as source:
        asked = len(server.asked)
        assert not source.last(msgspec.structs.replace(REQUEST, trigger="prefetch")).items
        assert len(server.asked) == asked


def test_url_source_reports_an_error_before_the_measurement() -> None:
    with (
        completing("", 404) as server,
        pytest.raises(TurbopilotError, match="answered 404"),
        UrlSource(server.url("/infill")),
    ):
        pass
    for url in (server.url("/infill"), "http://a:b/infill"):
        with pytest.raises(TurbopilotError, match="cannot be reached"), UrlSource(url):
            pass


@pytest.mark.parametrize("url", ["http://127.0.0.1/complete", "/infill"])
def test_url_source_refuses_other_urls(url: str) -> None:
    with pytest.raises(BadRequestError, match=", ".join(DIALECTS)):
        UrlSource(url)


def test_public_returns_a_url_without_secrets() -> None:
    assert (
        public("https://ann:secret@host:80/v1/completions?key=secret#a") == "https://host:80/v1/completions"
    )


def test_url_source_refuses_a_template_that_is_not_used() -> None:
    with pytest.raises(BadRequestError, match="builds its own prompt"):
        UrlSource("http://127.0.0.1/infill", template="{prefix}")


def test_url_source_counts_failed_requests(appended: list[traces.Trace]) -> None:
    with completing("x\n") as server, UrlSource(server.url("/infill")) as source:
        server.status = 500
        typed = replay.in_real_time(source, appended[:1], lambda _: None, replay.steady(0.05))
    assert typed.pace
    assert typed.pace.refused > 0
    assert typed.pace.cpu is None
    assert typed.total.shown == 0
