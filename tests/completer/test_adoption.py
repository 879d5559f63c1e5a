"""Requests that follow one another, as an editor sends them while somebody types."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.completer.completer import Completer
from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.engine.job import DISCONNECTED, Job
from jupyter_turbopilot.engine.worker import Worker
from jupyter_turbopilot.reply import Reply
from jupyter_turbopilot.request import Cell, Completion
from jupyter_turbopilot.suggestion.cache import Results

from ..scripted_engine import ScriptedEngine, words

ANSWER = "alpha beta gamma delta epsilon"
MIDDLE = "<|fim_middle|>"


class Asked:
    """A request, and what came of it."""

    def __init__(self, completer: Completer, request: Completion, caller: str) -> None:
        self.replies: list[Reply] = []
        self.done = threading.Event()
        self.job: Job = completer.submit(request, self._take, caller=caller)

    def _take(self, reply: Reply) -> None:
        self.replies.append(reply)
        if reply.done:
            self.done.set()

    @property
    def texts(self) -> list[str]:
        return [reply.items[0].text for reply in self.replies if reply.items]

    @property
    def reason(self) -> str | None:
        return self.replies[-1].finish_reason

    def text(self) -> str:
        assert self.done.wait(10)
        return self.texts[-1] if self.replies[-1].items else ""


class Editor:
    """Asks as an editor does."""

    def __init__(self, answer: str | Callable[[str], str] = ANSWER, **more: float) -> None:
        self.engine = ScriptedEngine(answer, **{"pause": 0.06, **more})  # type: ignore[arg-type]
        self.worker = Worker()
        self.completer = Completer(self.worker, Turbopilot(), Results(1 << 24))
        self.worker.load("scripted", lambda _: self.engine)
        wait_until(lambda: self.worker.state.ready)

    def ask(self, source: str, caller: str = "ann", suffix: str = "", **more: object) -> Asked:
        asked: dict[str, object] = {"client": "tab", "stream": True, "trigger": "invoke", **more}
        request = Completion(cells=[Cell(source=source + suffix)], offset=len(source), **asked)  # type: ignore[arg-type]
        return Asked(self.completer, request, caller)

    @property
    def counted(self) -> tuple[int, int]:
        return self.completer.counters["taken_over"], self.completer.counters["ended"]


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not true():
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.fixture
def make() -> Iterator[Callable[..., Editor]]:
    made: list[Editor] = []

    def editor(*args: object, **more: float) -> Editor:
        made.append(Editor(*args, **more))  # type: ignore[arg-type]
        return made[-1]

    yield editor
    for one in made:
        one.worker.stop()


def test_a_key_that_agrees_goes_on_with_what_is_being_written(make: Callable[..., Editor]) -> None:
    editor = make()
    first = editor.ask("x = ")
    wait_until(lambda: len(first.texts) > 1)
    second = editor.ask("x = alp")
    assert second.text() == "ha beta gamma delta epsilon"
    assert (first.text(), first.reason) == ("", "superseded")
    assert len(editor.engine.prompts) == 1
    assert editor.counted == (1, 0)
    assert all(late.startswith(early) for early, late in zip(second.texts, second.texts[1:], strict=False))


def test_a_key_that_contradicts_ends_it(make: Callable[..., Editor]) -> None:
    editor = make(lambda prompt: "other words" if "x = (" in prompt else ANSWER)
    first = editor.ask("x = ")
    wait_until(lambda: len(first.texts) > 1)
    assert editor.ask("x = (").text() == "other words"
    assert [("x = (" in prompt) for prompt in editor.engine.prompts] == [False, True]


def test_while_a_prompt_is_read_the_next_key_cuts_nothing_short(make: Callable[..., Editor]) -> None:
    editor = make(prompt_pause=0.6, pause=0.0)
    begun = time.monotonic()
    first = editor.ask("x = ")
    wait_until(lambda: bool(editor.engine.prompts))
    time.sleep(0.05)
    second = editor.ask("x = y")
    assert first.text() == ""  # it is told at once
    wait_until(lambda: len(editor.engine.prompts) > 1)
    assert time.monotonic() - begun > 0.55  # when the piece that was being read is read
    assert second.text()


def test_where_half_a_token_was_typed_and_it_was_too_unsure_its_own_prompt_is_read(
    make: Callable[..., Editor],
) -> None:
    editor = make(probability=0.5, pause=0.1)
    editor.ask("x = ", trigger="automatic")
    wait_until(lambda: _wrote(editor))
    second = editor.ask("x = al", trigger="automatic")
    wait_until(lambda: len(editor.engine.prompts) == 2)
    editor.engine.probability = 0.99
    assert second.text()
    assert ANSWER.startswith(second.text())  # the engine of this test knows no words
    assert editor.counted == (1, 0)


def test_who_types_faster_than_it_is_written_is_caught_up_with(make: Callable[..., Editor]) -> None:
    editor = make(pause=0.1)
    editor.ask("x = ")
    wait_until(lambda: _wrote(editor))
    for end in (17, 20, 24):
        last = editor.ask("x = " + ANSWER[:end])
        time.sleep(0.05)
    assert last.text() == ANSWER[24:]
    assert len(editor.engine.prompts) == 1
    assert editor.counted[1] == 0


def test_where_something_else_was_typed_before_it_was_written_its_own_prompt_is_read(
    make: Callable[..., Editor],
) -> None:
    editor = make(lambda prompt: "other words" if "delta(" in prompt else ANSWER, pause=0.2)
    first = editor.ask("x = ")
    wait_until(lambda: "alpha" in first.texts)
    assert editor.ask("x = alpha beta gamma delta(").text() == "other words"
    assert len(editor.engine.prompts) == 2
    assert editor.counted == (1, 0)


@pytest.mark.parametrize("after", [0.05, 0.25])
def test_who_goes_back_to_where_that_was_found_out_is_answered(
    make: Callable[..., Editor], after: float
) -> None:
    editor = make(lambda prompt: "other words" if "delta(" in prompt else ANSWER, pause=0.1)
    first = editor.ask("x = ")
    wait_until(lambda: "alpha" in first.texts)
    editor.ask("x = alpha beta gamma delta(")
    time.sleep(after)
    assert editor.ask("x = alpha beta gamma delta(z").text()
    assert editor.ask("x = alpha beta gamma delta(").text() == "other words"


def test_indentation_that_was_not_typed_is_not_lost_on_the_way(make: Callable[..., Editor]) -> None:
    editor = make("def f():\n    return one", pause=0.1)
    editor.ask("", lines="multi")
    wait_until(lambda: _wrote(editor))
    assert editor.ask("def f():\n ", lines="multi").text() == "   return one"
    assert len(editor.engine.prompts) == 1


def test_nothing_more_is_read_for_who_has_been_left_meanwhile(make: Callable[..., Editor]) -> None:
    editor = make(lambda prompt: "" if prompt.split(MIDDLE)[1] else ANSWER, pause=0.1)
    first = editor.ask("x = ")
    wait_until(lambda: len(first.texts) > 0)
    second = editor.ask("x = (")
    wait_until(lambda: len(editor.engine.prompts) == 2)
    second.job.cancel.set(DISCONNECTED)
    assert second.done.wait(5)
    assert len(editor.engine.prompts) == 2


def test_half_a_name_that_it_was_held_to_is_gone_on_with(
    make: Callable[..., Editor], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = "alpha beta"
    monkeypatch.setattr(
        "jupyter_turbopilot.completer.suggestion_task.names_at",
        lambda request, _: [known[len(request.prefix) - 4 :]],
    )
    editor = make(pause=0.2)
    first = editor.ask("x = ")
    wait_until(lambda: first.texts[:1] == ["alpha"])
    assert editor.ask("x = al").text() == ANSWER[2:]
    assert (len(editor.engine.prompts), editor.counted) == (1, (1, 0))


def test_whoever_types_faster_than_that_is_still_held_to_names(
    make: Callable[..., Editor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "jupyter_turbopilot.completer.suggestion_task.names_at",
        lambda request, _: ["zeta"] if "delta" in request.prefix else ["alpha beta"],
    )
    editor = make(pause=0.1)
    first = editor.ask("x = ")
    wait_until(lambda: first.texts[:1] == ["alpha"])
    editor.ask("x = alpha beta gamma delta").text()
    assert len(editor.engine.prompts) == 2  # a prompt of its own, held to the other name


def _wrote(editor: Editor) -> bool:
    return any(ask.usage.predicted_tokens for ask in editor.engine.asks)


def test_it_gets_as_long_as_the_newer_request_wants_it(make: Callable[..., Editor]) -> None:
    editor = make(lambda prompt: " more" * 9 if prompt.split(MIDDLE)[1] else "one two three", pause=0.1)
    first = editor.ask("x = ", max_tokens=3)
    wait_until(lambda: len(first.texts) > 0)
    second = editor.ask("x = one", max_tokens=3)
    assert second.text() == " two three"
    assert [token.data for token in second.replies[-1].items[0].tokens] == [b" two", b" three", b" more"]


@pytest.mark.parametrize(
    "changed",
    [{"suffix": ")"}, {"lines": "single"}, {"trigger": "automatic"}, {"temperature": 0.5}, {"max_tokens": 7}],
)
def test_a_request_that_wants_something_else_begins_anew(
    make: Callable[..., Editor], changed: dict[str, object]
) -> None:
    editor = make()
    first = editor.ask("x = ")
    wait_until(lambda: len(first.texts) > 1)
    editor.ask("x = alp", **changed).text()
    assert len(editor.engine.prompts) == 2
    if "temperature" not in changed:
        # What was written is verified instead of written once more.
        assert "ha beta" in "".join(map(chr, editor.engine.asks[-1].hint))
    assert (first.text(), first.reason) == ("", "superseded")


def test_two_people_with_one_client_name_do_not_disturb_each_other(make: Callable[..., Editor]) -> None:
    editor = make()
    ann = editor.ask("x = ")
    wait_until(lambda: len(ann.texts) > 1)
    bob = editor.ask("x = alp", caller="bob")
    assert (ann.text(), bob.text()) == (ANSWER, ANSWER)
    assert len(editor.engine.prompts) == 2


def test_closing_the_older_stream_late_does_not_harm_the_newer(make: Callable[..., Editor]) -> None:
    editor = make()
    first = editor.ask("x = ")
    wait_until(lambda: len(first.texts) > 1)
    second = editor.ask("x = alp")
    first.job.cancel.set(DISCONNECTED)
    assert second.text() == "ha beta gamma delta epsilon"
    assert len(editor.engine.prompts) == 1


def test_closing_the_older_stream_first_leaves_a_draft(make: Callable[..., Editor]) -> None:
    editor = make()
    first = editor.ask("x = ")
    wait_until(lambda: len(first.texts) > 1)
    first.job.cancel.set(DISCONNECTED)
    assert first.done.wait(5)
    assert first.reason == "disconnected"
    editor.ask("x = alp").text()
    assert "ha beta" in "".join(map(chr, editor.engine.asks[-1].hint))


def test_a_close_ends_what_was_taken_over(make: Callable[..., Editor]) -> None:
    editor = make(words(500))
    first = editor.ask("x = ")
    wait_until(lambda: len(first.texts) > 1)
    second = editor.ask("x = wor")
    wait_until(lambda: len(second.texts) > 1)
    second.job.cancel.set(DISCONNECTED)
    assert second.done.wait(1)
    wait_until(lambda: editor.engine.released == 1)


def test_what_is_written_ahead_is_taken_over_once_the_suggestion_is_taken(
    make: Callable[..., Editor],
) -> None:
    editor = make()
    ahead = editor.ask("x = ", trigger="ahead", stream=False, eagerness="always")
    wait_until(lambda: _wrote(editor))
    taken = editor.ask("x = ", trigger="automatic", eagerness="always")
    assert taken.done.wait(5)
    assert taken.texts
    assert len(editor.engine.prompts) == 1
    assert ahead.reason == "superseded"


def test_nothing_is_done_ahead_while_the_same_editor_waits(make: Callable[..., Editor]) -> None:
    editor = make()
    typing = editor.ask("x = ")
    ahead = editor.ask("y = ", trigger="warm", stream=False)
    assert ahead.done.wait(1)
    assert ahead.reason == "yielded"
    assert typing.text() == ANSWER


def test_another_document_ends_it_within_a_step(make: Callable[..., Editor]) -> None:
    editor = make(prompt_pause=10.0, pause=0.0)
    editor.ask("x = ", path="a.ipynb")
    wait_until(lambda: bool(editor.engine.prompts))
    editor.ask("y = ", path="b.ipynb")
    wait_until(lambda: len(editor.engine.prompts) > 1)


def test_keys_that_come_faster_than_a_step_are_all_told(make: Callable[..., Editor]) -> None:
    editor = make(pause=0.1)
    asked = [editor.ask("x = ")]
    wait_until(lambda: _wrote(editor))
    asked += [editor.ask("x = " + ANSWER[:end]) for end in range(1, 5)]
    assert asked[-1].text() == ANSWER[4:]
    assert [one.reason for one in asked[:-1]] == ["superseded"] * 4
    assert len(editor.engine.prompts) == 1
    assert editor.worker.waiting == 0


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_whatever_is_typed_each_request_ends_once_and_the_last_is_answered(data: st.DataObject) -> None:
    editor = Editor(pause=0.004, prompt_pause=0.002)
    source, asked = "x = ", []
    try:
        for _ in range(data.draw(st.integers(2, 8))):
            asked.append(editor.ask(source))
            time.sleep(data.draw(st.sampled_from([0.0, 0.003, 0.02])))
            if data.draw(st.integers(0, 4)) == 0:
                asked[-1].job.cancel.set(DISCONNECTED)
            typed = source[4:]
            right = ANSWER[len(typed) : len(typed) + 1] if ANSWER.startswith(typed) else "z"
            source += data.draw(st.sampled_from([right, right, right, "z"]))
        last = editor.ask(source)
        assert last.text()
        for one in asked:
            assert one.done.wait(5)
            assert sum(reply.done for reply in one.replies) == 1
        wait_until(lambda: editor.engine.released == len(editor.engine.prompts))
        assert editor.worker.waiting == 0
        assert len(editor.completer.latest) == 0
    finally:
        editor.worker.stop()


def test_a_text_that_ends_where_it_was_to_be_cut_off_is_asked_for_no_further(
    make: Callable[..., Editor],
) -> None:
    editor = make(lambda prompt: "" if prompt.split(MIDDLE)[1] else "one two three", pause=0.1)
    first = editor.ask("x = ", max_tokens=3)
    wait_until(lambda: len(first.texts) > 0)
    assert editor.ask("x = one", max_tokens=3).text() == " two three"
    assert len(editor.engine.prompts) == 2


def test_indenting_by_hand_shortens_what_is_shown_by_what_was_typed(make: Callable[..., Editor]) -> None:
    editor = make("    return one + two", pause=0.05)
    first = editor.ask("def f():\n")
    wait_until(lambda: len(first.texts) > 0)
    assert editor.ask("def f():\n ").text() == "   return one + two"
    # Once more, when it is known.
    assert editor.ask("def f():\n  ").text() == "  return one + two"


def test_a_close_right_behind_a_key_is_heard_while_a_prompt_is_read(make: Callable[..., Editor]) -> None:
    editor = make(prompt_pause=10.0, pause=0.0)
    editor.ask("x = ")
    wait_until(lambda: bool(editor.engine.prompts))
    second = editor.ask("x = y")
    second.job.cancel.set(DISCONNECTED)
    assert second.done.wait(5)
    wait_until(lambda: editor.engine.released == 1)


def test_another_model_ends_what_was_about_to_be_taken_over(make: Callable[..., Editor]) -> None:
    editor = make(prompt_pause=0.2, pause=0.0)
    editor.ask("x = ")
    wait_until(lambda: bool(editor.engine.prompts))
    second = editor.ask("x = y")
    loading, go_on = threading.Event(), threading.Event()

    def load(_: object) -> ScriptedEngine:
        loading.set()
        go_on.wait(5)
        return ScriptedEngine(ANSWER)

    editor.worker.load("another", load)
    assert loading.wait(5)
    assert second.done.wait(1)  # while that loads
    assert second.reason == "superseded"
    go_on.set()


def test_an_answer_that_ended_as_the_key_came_is_the_keys_answer(make: Callable[..., Editor]) -> None:
    editor = make("alpha beta", pause=0.1)
    first = editor.ask("x = ")
    wait_until(lambda: first.texts[:1] == ["alpha"])
    time.sleep(0.03)  # the step that finds the end is under way
    assert editor.ask("x = a").text() == "lpha beta"
    assert len(editor.engine.prompts) == 1


def test_two_keys_during_one_step_lose_nothing(make: Callable[..., Editor]) -> None:
    editor = make(pause=0.2)
    editor.ask("x = ")
    wait_until(lambda: _wrote(editor))
    serving, begin = editor.worker._loop, editor.worker._loop._begin
    asked: list[Asked] = []

    def begin_late(job: Job) -> None:
        if not asked:
            asked.append(editor.ask("x = al"))  # between being chosen and being begun
        begin(job)

    serving._begin = begin_late  # type: ignore[method-assign]
    editor.ask("x = a")
    wait_until(lambda: bool(asked))
    assert asked[0].text() == ANSWER[2:]
    assert len(editor.engine.prompts) == 1


def test_what_an_answer_cost_is_told_once(make: Callable[..., Editor]) -> None:
    editor = make()
    first = editor.ask("x = ")
    wait_until(lambda: len(first.texts) > 1)
    second = editor.ask("x = alp")
    second.text()
    timings = second.replies[-1].timings
    assert (timings.prompt_tokens, timings.cached_tokens, timings.prompt_ms) == (7, 0, 0.0)
    assert timings.predicted_tokens >= 5
    assert first.replies[-1].timings.prompt_tokens == 0


def test_an_answer_that_agreed_and_was_not_gone_on_with_is_counted(make: Callable[..., Editor]) -> None:
    editor = make()
    first = editor.ask("x = ")
    wait_until(lambda: len(first.texts) > 1)
    editor.ask("x = alp", suffix=")").text()
    assert editor.counted == (0, 1)
