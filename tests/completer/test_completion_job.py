from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from jupyter_turbopilot.analysis.kernel_context import KernelContext, ObjectInfo, read_kernel_context
from jupyter_turbopilot.completer import suggestion_plan
from jupyter_turbopilot.completer.completion_job import CompletionJob
from jupyter_turbopilot.completer.plan import Matches
from jupyter_turbopilot.completer.raw_plan import plan_raw
from jupyter_turbopilot.engine.base import Capabilities
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.job import DISCONNECTED
from jupyter_turbopilot.plugins.remote.settings import TurbopilotRemote
from jupyter_turbopilot.plugins.remote.vocabulary import CodePoints
from jupyter_turbopilot.protocol.contract import Answer, Frame
from jupyter_turbopilot.protocol.engine_request import PrefixConstraint, RawRequest, Sampling
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.protocol.reply import Reply
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.suggestion.lookup import LineMatch

from ..scripted_engine import ScriptedEngine, ScriptedRun, words
from .desk import Desk, received, request


def test_invoked_suggestions_stream_by_token_without_incomplete_words(desk: Callable[..., Desk]) -> None:
    assert desk("a + b + c").texts(request(stream=True)) == ["a +", "a + b +", "a + b + c"]


def test_automatic_suggestions_do_not_grow(desk: Callable[..., Desk]) -> None:
    asked = request("", trigger="automatic", stream=True, eagerness="always")
    (text,) = {*desk("a = 1\nb = 2 + 3\n").texts(asked)}
    assert "a = 1\nb = 2 + 3".startswith(text)


def test_automatic_suggestions_show_the_confident_part_of_a_cut_line(desk: Callable[..., Desk]) -> None:
    d = desk("quantity + bread + cheese", probability=1.0)
    assert d.texts(request(trigger="automatic", max_tokens=1)) == []
    assert d.texts(request(trigger="automatic", max_tokens=3)) == ["quantity"]
    assert d.texts(request(trigger="automatic", max_tokens=9)) == ["quantity + bread + cheese"]


def test_text_released_early_is_not_cached_as_complete(
    desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    d = desk("quantity + price + tax\n", probability=1.0)
    asked = request(trigger="automatic", stream=True)
    monkeypatch.setattr(suggestion_plan, "HOLD", 0.0)
    part = d.texts(asked)[-1]
    monkeypatch.setattr(suggestion_plan, "HOLD", math.inf)
    whole = d.texts(asked)[-1]
    assert (whole.startswith(part), part == whole) == (True, False)


@pytest.mark.parametrize(
    ("text", "probability", "reason"),
    [
        ("values.total + offset", 0.3, "unsure"),
        ("ab", 1.0, "short"),
        ("values) + offset", 1.0, "invalid"),
        ("frames.total + offset", 1.0, "unknown_name"),
        ("\n", 1.0, "nothing"),
    ],
)
def test_hidden_suggestion_has_a_reason(
    text: str, probability: float, reason: str, desk: Callable[..., Desk]
) -> None:
    known = KernelContext({"values": ObjectInfo(type="list"), "offset": ObjectInfo(type="int")}, all=True)
    d = desk(text, probability=probability)
    reply = received(d.begin(request(trigger="automatic"), kernel_context=known)[1])[-1]
    assert Answer.of(reply).items == []
    assert (Answer.of(reply).hidden_reason, Frame.of(reply).hidden_reason) == (reason, reason)
    (reply,) = d.ask(request("y = ", trigger="invoke"))
    assert Answer.of(reply).hidden_reason is UNSET


def test_prose_with_apostrophes_is_completed_automatically(desk: Callable[..., Desk]) -> None:
    cell = Cell(source="We don't need ", type="markdown")
    asked = Completion(cells=[cell], offset=14, trigger="automatic")
    assert desk("the other columns\n", probability=1.0).texts(asked) == ["the other columns"]


@pytest.mark.parametrize("trigger", ["automatic", "invoke"])
def test_suggestions_in_a_line_end_where_the_rest_can_follow(desk: Callable[..., Desk], trigger: str) -> None:
    d = desk('ord_millimeter"].dropna().sum()')
    asked = request('m = df["nederb].mean()', 14, trigger=trigger, stream=True)
    assert {*d.texts(asked)} == {'ord_millimeter"'}
    assert desk("ord_mm\n").texts(asked) == []


WORDS = st.lists(st.sampled_from(["a", "(", ")", '"', "\n", "    b", " = 1", "```", "x)"]), max_size=12).map(
    "".join
)


@given(WORDS, WORDS, WORDS, st.sampled_from(["automatic", "invoke"]), st.floats(0.3, 1))
def test_frames_grow_to_the_text_without_streaming(
    answer: str, before: str, after: str, trigger: str, probability: float
) -> None:
    d = Desk(ScriptedEngine(answer, probability=probability))
    try:
        asked = {"offset": len(before), "trigger": trigger}
        frames = d.texts(request(before + after, stream=True, **asked))  # type: ignore[arg-type]
        for earlier, later in itertools.pairwise(frames):
            assert later.startswith(earlier)
        whole = d.texts(request(before + after, **asked))  # type: ignore[arg-type]
        assert frames[-1:] == whole
    finally:
        d.worker.stop()


@pytest.mark.parametrize("text", ["one two", ""])
def test_generation_does_not_cache_a_text_cut_by_the_engine_as_complete(
    text: str, desk: Callable[..., Desk]
) -> None:
    d = desk(text)
    step = d.engine.step

    def cutting(runs: list[ScriptedRun], interrupt: Cancel) -> None:
        step(runs, interrupt)
        for run in runs:
            run.request.usage.cut = run.done

    d.engine.step = cutting  # type: ignore[method-assign]
    for _ in range(2):
        (reply,) = d.ask(request("x = "))
        assert [item.finish_reason for item in reply.items] == ["length"] * bool(text)
    assert len(d.engine.asks) == 2


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "one\ntwo two\nthree\nfour\n"), (0.15, "one\ntwo two\nthree")]
)
def test_generation_completes_the_line_after_the_time_limit(
    desk: Callable[..., Desk], seconds: float, text: str
) -> None:
    d = desk("one\ntwo two\nthree\nfour\n")
    step = d.engine.step

    def slowly(runs: list[ScriptedRun], interrupt: Cancel) -> None:
        step(runs, interrupt)
        for run in runs:
            run.request.usage.predicted_ms += 60

    d.engine.step = slowly  # type: ignore[method-assign]
    assert d.texts(RawRequest("x = ", seconds=seconds))[-1] == text


# Engines with fewer capabilities -------------------------------------------------------------------------


def limited(desk: Callable[..., Desk], answer: object, **capabilities: object) -> Desk:
    made = desk(answer)
    made.engine.capabilities = Capabilities(**capabilities)  # type: ignore[arg-type]
    return made


def test_generation_without_prefix_constraints_keeps_the_typed_word(desk: Callable[..., Desk]) -> None:
    d = limited(desk, "ue", prefix_constraints=False)
    assert d.texts(request("val")) == ["ue"]
    assert "val<|fim_suffix|>" in d.engine.prompts[0]
    assert d.engine.samplings[0].beginning == PrefixConstraint()
    held = desk("lue")
    assert held.texts(request("val")) != []
    assert "va<|fim_suffix|>" in held.engine.prompts[0]
    assert held.engine.samplings[0].beginning.candidates == (b"l",)


FACTS = read_kernel_context({"names": {"frame": {"columns": ["price", "date"], "all": True}}})


def named(d: Desk, **more: object) -> list[str]:
    """Return the texts of the replies at the position of a column name."""
    replies = received(d.begin(request('x = frame["', **more), kernel_context=FACTS)[1])
    return [reply.items[0].text for reply in replies if reply.items]


def test_generation_rejects_unsupported_options_by_field_name(desk: Callable[..., Desk]) -> None:
    d = limited(desk, "a", samplers=frozenset(), top=0)
    (reply,) = d.ask(RawRequest("x", sampling=Sampling(ignore_end=True)))
    assert isinstance(reply.error, BadRequestError)
    assert reply.error.field == "ignore_end"
    (reply,) = d.ask(RawRequest("x", sampling=Sampling(top=3)))
    assert isinstance(reply.error, BadRequestError)
    assert d.engine.asks == []


def test_generation_scales_token_limits_for_character_models(desk: Callable[..., Desk]) -> None:
    d = desk("a")
    d.engine.vocabulary = CodePoints(unit=3)
    d.ask(request("x = 1\n" * 1000, max_tokens=20))
    (engine_request,) = d.engine.asks
    assert engine_request.sampling.max_tokens == 60
    assert 2 * 1024 < len(engine_request.prompt) <= 3 * 1024
    d.ask(RawRequest("x", sampling=Sampling(max_tokens=20)))
    assert d.engine.asks[-1].sampling.max_tokens == 20  # other protocols count the model's own tokens


@pytest.mark.parametrize("reported", [True, False])
def test_generation_filters_names_that_may_not_be_sent(desk: Callable[..., Desk], reported: bool) -> None:
    for answer, shown in (('price"]', ['price"]']), ('other"]', ['other"]'] if reported else [])):
        d = limited(desk, answer, remote=True)
        d.completer.settings.engine = "remote"
        d.completer.settings.section(TurbopilotRemote).send_kernel_context = reported
        assert named(d) == shown
        (engine_request,) = d.engine.asks
        assert ("price" in repr(engine_request)) == reported


def test_reply_after_the_deadline_has_no_hidden_reason(desk: Callable[..., Desk]) -> None:
    d = desk(words(400), pause=0.01, probability=0.97, settings={"deadline": 0.2})
    (reply,) = d.ask(request(trigger="automatic", max_tokens=400))
    assert (reply.items, reply.finish_reason, reply.hidden_reason) == ((), "deadline", "")


def test_job_sends_no_frame_after_the_last_reply(desk: Callable[..., Desk]) -> None:
    replies: list[Reply] = []
    job = desk("a").completer.submit(request(stream=True), replies.append)
    job.finish(None)
    job.stream(Reply(job.id))
    assert replies[-1].done
    assert sum(reply.done for reply in replies) == 1


def test_answer_is_sent_instead_of_the_text_that_it_ends(desk: Callable[..., Desk]) -> None:
    replies: list[Reply] = []
    d = desk("a")
    job = CompletionJob(
        plan_raw(RawRequest("x"), d.completer.settings), "", [replies.append], d.completer.shared
    )

    def end_text() -> None:
        job.result = Reply(job.id, "cut")

    job.cancel.watch(end_text)
    job.answer(Reply(job.id, "cached"), "cache_hits")
    assert [reply.model for reply in replies] == ["cached"]
    assert d.completer.counters["cache_hits"] == 1


def test_late_answer_is_neither_sent_nor_counted(desk: Callable[..., Desk]) -> None:
    replies: list[Reply] = []
    d = desk("a")
    job = CompletionJob(
        plan_raw(RawRequest("x"), d.completer.settings), "", [replies.append], d.completer.shared
    )
    job.begin_look_up()
    job.cancel.set(DISCONNECTED)
    job.finish(None)
    line = LineMatch("a + b", 0.9, sure=True, whole=True)
    assert job.take_matches(Matches(line), "scripted")
    job.answer(Reply(job.id, "cached"), "cache_hits")
    assert [reply.finish_reason for reply in replies] == [DISCONNECTED]
    assert (d.completer.counters["index_matches"], d.completer.counters["cache_hits"]) == (0, 0)
