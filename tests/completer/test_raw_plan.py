from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.completer.raw_plan import ENDLESS
from jupyter_turbopilot.engine.job import Priority
from jupyter_turbopilot.plugins.remote.settings import TurbopilotRemote
from jupyter_turbopilot.prompt.formats import form_for
from jupyter_turbopilot.prompt.infill import build_text, taken_apart
from jupyter_turbopilot.protocol.engine_request import (
    ExactRequest,
    Markers,
    PrefixConstraint,
    RawRequest,
    Sampling,
    Urgency,
)

from ..scripted_engine import MARKS, ScriptedEngine
from .desk import Desk


@pytest.mark.parametrize("family", ["qwen", "starcoder", "codestral"])
def test_raw_plan_converts_a_template_for_the_loaded_model(desk: Callable[..., Desk], family: str) -> None:
    written = {
        "qwen": "<|fim_prefix|>a = <|fim_suffix|>\nb<|fim_middle|>",
        "starcoder": "<fim_prefix>a = <fim_suffix>\nb<fim_middle>",
        "codestral": "[SUFFIX]\nb[PREFIX]a = ",
    }
    d = desk("1")
    d.ask(RawRequest(prompt=written[family]))
    prefix, suffix, middle = MARKS.values()
    assert d.engine.asks[-1].prompt == [prefix, *map(ord, "a = "), suffix, *map(ord, "\nb"), middle]


def test_raw_plan_puts_a_templates_other_files_before_the_prefix(desk: Callable[..., Desk]) -> None:
    d = desk("1")
    template = "<|fim_prefix|>a = <|fim_suffix|><|fim_middle|>"
    d.ask(RawRequest(prompt=f"<|repo_name|>shapes\n<|file_sep|>x.py\nb = 2\n{template}"))
    assert d.engine.prompts[-1].endswith(f"x.py\nb = 2\n{template}")
    assert set(MARKS.values()) < set(d.engine.asks[-1].prompt)
    d.ask(RawRequest(prompt=f"<|file_sep|>{'b = 2' * 5000}{template}", cut=True))
    assert d.engine.prompts[-1].endswith(f"b = 2{template}")


@given(st.lists(st.sampled_from([*MARKS, "a", "\n"]), max_size=6))
def test_raw_plan_treats_stray_markers_as_text(parts: list[str]) -> None:
    prompt = "x" + "".join(parts)
    form = form_for(MARKS.get, Markers())
    hole = taken_apart(prompt)
    assert hole is None
    assert not set(
        build_text(form, ScriptedEngine().vocabulary.tokenize, RawRequest(prompt), 4096).tokens
    ) & set(MARKS.values())


@pytest.mark.parametrize(
    ("urgency", "more", "priority"),
    [
        (None, {}, Priority.TEXT),
        ("typing", {}, Priority.TYPING),
        ("warmup", {}, Priority.WARMUP),
        ("prefetch", {"n": 2}, Priority.PREFETCH),
        ("typing", {"n": 2}, Priority.BULK),
        ("typing", {"bulk": True}, Priority.BULK),
        ("text", {"sampling": Sampling(4096)}, Priority.BULK),
        ("bulk", {}, Priority.BULK),
    ],
)
def test_priority_follows_another_server_except_for_bulk(
    desk: Callable[..., Desk], urgency: Urgency | None, more: dict[str, Any], priority: Priority
) -> None:
    d = desk("a")
    d.ask(RawRequest((120,), exact=ExactRequest(urgency=urgency), **more))
    assert d.engine.asks[0].priority == priority.name.lower()


def test_raw_plan_forwards_an_exact_request_unchanged(desk: Callable[..., Desk]) -> None:
    d = desk("one two")
    beginning = PrefixConstraint((b"on", b"tw"), 1, 7)
    exact = ExactRequest((111, 110), aligned=False, suffix_span=(1, 2), context_end=1)
    asked = RawRequest((120, 121, 122), sampling=Sampling(9, beginning=beginning), exact=exact)
    for _ in range(2):  # earlier answers have no effect
        assert d.texts(asked) == ["one two"]
        engine_request = d.engine.asks[-1]
        assert (engine_request.prompt, engine_request.sampling) == ([120, 121, 122], asked.sampling)
        assert (
            engine_request.hint,
            engine_request.aligned,
            engine_request.suffix_span,
            engine_request.context_end,
        ) == ([111, 110], False, (1, 2), 1)
    assert not d.completer.results.size


@pytest.mark.parametrize("moves", [False, True])
def test_raw_plan_moves_the_suffix_of_infill_only_if_asked(desk: Callable[..., Desk], moves: bool) -> None:
    d = desk("a")
    d.ask(RawRequest("x" * 100, suffix="y" * 100, window=True, moves=moves))
    start, stop = d.engine.asks[-1].suffix_span
    assert (start < stop, d.engine.asks[-1].context_end > 0) == (moves, moves)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (RawRequest((120,) * 300, exact=ExactRequest()), "prompt"),
        (RawRequest((1 << 30,), exact=ExactRequest()), "prompt"),
        (RawRequest((120,), exact=ExactRequest(hint=(1 << 30,))), "draft"),
        (
            RawRequest(
                (120,), sampling=Sampling(beginning=PrefixConstraint(banned=1 << 30)), exact=ExactRequest()
            ),
            "banned_token",
        ),
    ],
)
def test_raw_plan_rejects_unknown_token_ids_by_field(
    desk: Callable[..., Desk], asked: RawRequest, field: str
) -> None:
    d = desk("a", context_size=256)
    error = d.ask(asked)[-1].error
    assert error is not None
    assert error.field == field
    assert d.texts(RawRequest((120,) * 250, exact=ExactRequest())) == ["a"]  # it ends with the context


def test_raw_plan_without_limit_reserves_context_for_the_text(desk: Callable[..., Desk]) -> None:
    d = desk("a " * 300, context_size=256, settings={"max_tokens": 20})
    (reply,) = d.ask(RawRequest("x" * 200, sampling=Sampling(max_tokens=-1)))
    assert reply.timings.predicted_tokens > 20
    assert d.engine.samplings[0].max_tokens == ENDLESS
    assert d.ask(RawRequest("x" * 240, sampling=Sampling(max_tokens=-1)))[-1].error


@pytest.mark.parametrize("allowed", [True, False])
def test_raw_plan_sends_other_files_to_remote_servers_only_if_allowed(
    desk: Callable[..., Desk], allowed: bool
) -> None:
    d = desk("1")
    d.completer.settings.engine = "remote"
    d.completer.settings.section(TurbopilotRemote).send_documents = allowed
    d.ask(RawRequest("x = ", "", window=True, others=(("other.py", "zebra = 1"),)))
    assert ("zebra" in d.engine.prompts[0]) == allowed
