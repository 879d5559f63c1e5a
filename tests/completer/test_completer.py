from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.completer.completer import Completer
from jupyter_turbopilot.completer.raw_task import priority_of
from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.engine.job import Job
from jupyter_turbopilot.engine.queue import Priority
from jupyter_turbopilot.engine.worker import Worker
from jupyter_turbopilot.errors import EngineError, NotReadyError
from jupyter_turbopilot.generation import Markers, Sampling
from jupyter_turbopilot.prompt.formats import build_text, form_for
from jupyter_turbopilot.prompt.infill import taken_apart
from jupyter_turbopilot.raw_request import RawRequest
from jupyter_turbopilot.reply import Reply
from jupyter_turbopilot.request import Cell, Completion
from jupyter_turbopilot.suggestion.cache import Results

from ..scripted_engine import MARKS, ScriptedEngine, ScriptedRun


class Desk:
    """A completer with a scripted engine, and what it answered."""

    def __init__(self, engine: ScriptedEngine, **settings: object) -> None:
        self.engine = engine
        self.worker = Worker()
        self.resting = False
        self.completer = Completer(
            self.worker, Turbopilot(**settings), Results(1 << 24), lambda: self.resting
        )
        self.worker.load("scripted", lambda _: engine)
        while self.worker.state.phase == "loading":
            time.sleep(0.001)

    def begin(self, request: Completion | RawRequest) -> tuple[Job, list[Reply], threading.Event]:
        replies: list[Reply] = []
        done = threading.Event()

        def listen(reply: Reply) -> None:
            replies.append(reply)
            if reply.done:
                done.set()

        return self.completer.submit(request, listen), replies, done

    def ask(self, request: Completion | RawRequest) -> list[Reply]:
        _, replies, done = self.begin(request)
        assert done.wait(10)
        return replies

    def texts(self, request: Completion | RawRequest) -> list[str]:
        return [reply.items[0].text for reply in self.ask(request) if reply.items]


@pytest.fixture
def desk() -> Iterator[Callable[..., Desk]]:
    made: list[Desk] = []

    def make(answer: object = "", *, settings: dict[str, object] | None = None, **more: object) -> Desk:
        made.append(Desk(ScriptedEngine(answer, **more), **(settings or {})))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.worker.stop()


def request(source: str = "x = ", offset: int | None = None, **more: object) -> Completion:
    return Completion(
        cells=[Cell(source=source)],
        offset=len(source) if offset is None else offset,
        **more,  # type: ignore[arg-type]
    )


def test_the_prompt_holds_context_prefix_and_suffix_in_the_models_own_form(desk: Callable[..., Desk]) -> None:
    d = desk("1")
    cells = [Cell(source="import os"), Cell(source="x = \nprint(x)"), Cell(source="y")]
    d.ask(Completion(cells=cells, active=1, offset=4))
    assert d.engine.prompts == ["<|fim_prefix|>import os\n\ny\n\nx = <|fim_suffix|>\nprint(x)<|fim_middle|>"]


def test_asked_for_it_streams_by_token_and_holds_back_a_word_that_may_go_on(
    desk: Callable[..., Desk],
) -> None:
    assert desk("a + b + c").texts(request(stream=True)) == ["a +", "a + b +", "a + b + c"]


def test_unasked_it_streams_what_is_sure_and_then_whole_lines(desk: Callable[..., Desk]) -> None:
    asked = request("", trigger="automatic", stream=True, eagerness="always")
    frames = desk("a = 1\nb = 2 + 3\n").texts(asked)
    assert frames == ["a", "a =", "a = 1", "a = 1\nb = 2 + 3", "a = 1\nb = 2 + 3"]


def test_unasked_and_unsure_it_is_silent_and_stops_early(desk: Callable[..., Desk]) -> None:
    d = desk("a + b + c + d + e + f", probability=0.1)
    (reply,) = d.ask(request(trigger="automatic"))
    assert reply.items == ()
    assert reply.timings.predicted_tokens <= 3


def test_asked_for_it_answers_however_unsure(desk: Callable[..., Desk]) -> None:
    assert desk("a b c", probability=0.1).texts(request()) == ["a b c"]


def test_unasked_a_line_cut_off_by_the_length_is_shown_as_far_as_it_is_sure(
    desk: Callable[..., Desk],
) -> None:
    d = desk("apple + bread + cheese", probability=1.0)
    assert d.texts(request(trigger="automatic", max_tokens=1)) == []
    assert d.texts(request(trigger="automatic", max_tokens=3)) == ["apple +"]
    assert d.texts(request(trigger="automatic", max_tokens=9)) == ["apple + bread + cheese"]


def test_a_credential_is_no_context(desk: Callable[..., Desk]) -> None:
    d = desk("1")
    d.ask(
        Completion(cells=[Cell(source="password = 'hunter22'\na = 1"), Cell(source="b")], active=1, offset=1)
    )
    assert "hunter22" not in d.engine.prompts[0]
    assert "a = 1" in d.engine.prompts[0]


def test_a_newer_request_of_the_same_editor_ends_the_older(desk: Callable[..., Desk]) -> None:
    d = desk("a " * 200, pause=0.01)
    _, old, old_done = d.begin(request(client="editor"))
    time.sleep(0.05)
    assert d.ask(request("y = ", client="editor", max_tokens=2))[-1].items
    assert old_done.wait(1)
    assert (old[-1].items, old[-1].finish_reason) == ((), "superseded")


def test_another_editors_request_waits_its_turn(desk: Callable[..., Desk]) -> None:
    d = desk("a b c", pause=0.01)
    _, first, first_done = d.begin(request(client="one"))
    assert d.ask(request(client="two"))[-1].items
    assert first_done.is_set()
    assert first[-1].items


def test_of_ten_requests_of_one_editor_only_the_last_is_written_to_the_end(desk: Callable[..., Desk]) -> None:
    d = desk("a b c d", pause=0.02)
    runs = [d.begin(request(f"x{number} = ", client="editor")) for number in range(10)]
    for _, _, done in runs:
        assert done.wait(5)
    assert [bool(replies[-1].items) for _, replies, _ in runs] == [False] * 9 + [True]
    assert sum(d.engine.finished) == 1


def test_warming_reads_the_prompt_and_writes_nothing(desk: Callable[..., Desk]) -> None:
    d = desk("a b c")
    (reply,) = d.ask(request(trigger="warm"))
    assert [item.text for item in reply.items] in ([], [""])
    assert d.engine.samplings[0].max_tokens == 0


@pytest.mark.parametrize("family", ["qwen", "starcoder", "codestral"])
def test_a_template_in_a_prompt_is_laid_out_for_the_model_that_is_loaded(
    desk: Callable[..., Desk], family: str
) -> None:
    written = {
        "qwen": "<|fim_prefix|>a = <|fim_suffix|>\nb<|fim_middle|>",
        "starcoder": "<fim_prefix>a = <fim_suffix>\nb<fim_middle>",
        "codestral": "[SUFFIX]\nb[PREFIX]a = ",
    }
    d = desk("1")
    d.ask(RawRequest(prompt=written[family]))
    prefix, suffix, middle = MARKS.values()
    assert d.engine.asks[-1].prompt == [prefix, *map(ord, "a = "), suffix, *map(ord, "\nb"), middle]


def test_other_files_of_a_template_stand_above(desk: Callable[..., Desk]) -> None:
    d = desk("1")
    template = "<|fim_prefix|>a = <|fim_suffix|><|fim_middle|>"
    d.ask(RawRequest(prompt=f"<|repo_name|>shapes\n<|file_sep|>x.py\nb = 2\n{template}"))
    assert d.engine.prompts[-1].endswith(f"x.py\nb = 2\n{template}")
    assert set(MARKS.values()) < set(d.engine.asks[-1].prompt)
    d.ask(RawRequest(prompt=f"<|file_sep|>{'b = 2' * 5000}{template}", cut=True))
    assert d.engine.prompts[-1].endswith(f"b = 2{template}")


@given(st.lists(st.sampled_from([*MARKS, "a", "\n"]), max_size=6))
def test_marks_in_a_prompt_that_is_no_template_are_text(parts: list[str]) -> None:
    prompt = "x" + "".join(parts)
    form = form_for(MARKS.get, Markers())
    hole = taken_apart(prompt)
    assert hole is None
    assert not set(build_text(form, ScriptedEngine().tokenize, RawRequest(prompt), 4096).tokens) & set(
        MARKS.values()
    )


def test_reading_ahead_for_another_protocol_yields_to_everything(desk: Callable[..., Desk]) -> None:
    d = desk("a b c", pause=0.001)
    jobs = [d.begin(RawRequest(prompt="x", ahead=ahead, sampling=Sampling(1)))[0] for ahead in (True, False)]
    assert [job.priority for job in jobs] == [Priority.WARM, Priority.TEXT]


def test_warming_never_ends_a_persons_request(desk: Callable[..., Desk]) -> None:
    d = desk("a b c", pause=0.02)
    _, replies, done = d.begin(request(client="editor"))
    d.begin(request(trigger="warm", client="editor"))
    assert done.wait(5)
    assert replies[-1].items


def test_a_deadline_gives_what_there_is(desk: Callable[..., Desk]) -> None:
    d = desk("a " * 100, pause=0.01, settings={"deadline": 0.2})
    (reply,) = d.ask(request())
    assert reply.items[0].finish_reason == "deadline"
    assert reply.items[0].text.startswith("a a")


def test_alternatives_branch_off_where_the_first_answer_is_least_sure(desk: Callable[..., Desk]) -> None:
    answers = iter(["a + b", " - b", " - b"])
    d = desk(lambda _: next(answers), probability=0.5)
    (reply,) = d.ask(request("x = ", n=3))
    assert sorted(item.text for item in reply.items) == [" - b", "a + b", "a - b"]
    first, *others = d.engine.asks
    assert [ask.sampling.beginning.banned for ask in (first, *others)] == [None, ord("a"), ord("+")]
    assert [list(ask.prompt)[len(first.prompt) :] for ask in others] == [[], [ord("a")]]
    assert {s.temperature for s in d.engine.samplings} == {0.0}


def test_an_answer_that_is_sure_has_no_alternatives(desk: Callable[..., Desk]) -> None:
    d = desk("a + b", probability=0.99)
    (reply,) = d.ask(request(n=3))
    assert len(reply.items) == len(d.engine.asks) == 1


def test_drawn_alternatives_differ_by_their_seed(desk: Callable[..., Desk]) -> None:
    answers = iter(["one", "two", "two"])
    d = desk(lambda _: next(answers))
    (reply,) = d.ask(request(n=3, temperature=0.8))
    assert [item.text for item in reply.items] == ["one", "two"]
    assert len({s.seed for s in d.engine.samplings}) == 3
    assert {s.temperature for s in d.engine.samplings} == {0.8}


def test_a_failing_engine_is_an_answer_and_the_next_request_succeeds(desk: Callable[..., Desk]) -> None:
    d = desk("ok", fail=EngineError("llama.cpp failed with code -3."))
    assert d.ask(request())[-1].error is not None
    d.engine.fail = None
    assert d.texts(request()) == ["ok"]


def test_characters_of_several_bytes_are_never_torn(desk: Callable[..., Desk]) -> None:
    d = desk()
    text = "é🎈字"
    d.engine.step = bytes_one_by_one(text)  # type: ignore[method-assign]
    frames = d.texts(request(stream=True))
    assert frames[-1] == text
    assert all(text.startswith(frame) for frame in frames)


def bytes_one_by_one(text: str) -> Callable[..., None]:
    from jupyter_turbopilot.generation import Token

    left = list(text.encode())

    def step(runs: list[ScriptedRun], _: object) -> None:
        if left:
            runs[0].fresh.append(Token(bytes([left.pop(0)]), 0.99))
        else:
            runs[0].done = True

    return step


@pytest.mark.parametrize("source", ["", " ", "\n\n"])
def test_nothing_to_go_by_is_no_error(desk: Callable[..., Desk], source: str) -> None:
    assert desk("x = 1").ask(request(source))[-1].error is None


def test_a_prefix_ten_times_the_context_is_cut_at_the_far_end(desk: Callable[..., Desk]) -> None:
    d = desk("1", context_size=512)
    long = "".join(f"line {number}\n" for number in range(1000))
    d.ask(request(long + "x = "))
    assert d.engine.prompts[0].split("<|fim_suffix|>")[0].endswith("x = ")
    assert len(d.engine.tokenize(d.engine.prompts[0])) < 512 + 40


def test_after_ten_thousand_requests_there_is_one_thread_and_nothing_is_kept(
    desk: Callable[..., Desk],
) -> None:
    d = desk("a b")
    before = threading.active_count()
    for number in range(10_000):
        d.ask(request(client=f"editor-{number}"))
    assert threading.active_count() <= before + 1
    assert len(d.completer.latest) == 0


WORDS = st.lists(st.sampled_from(["a", "(", ")", '"', "\n", "    b", " = 1", "```", "x)"]), max_size=12).map(
    "".join
)


@given(WORDS, WORDS, WORDS, st.sampled_from(["automatic", "invoke"]), st.floats(0.3, 1))
def test_each_frame_is_a_beginning_of_the_next_and_the_last_is_the_unstreamed_text(
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


def test_the_same_question_is_answered_at_once_and_without_the_model(desk: Callable[..., Desk]) -> None:
    d = desk("a + b")
    assert d.texts(request("x = ")) == d.texts(request("x = ")) == ["a + b"]
    assert len(d.engine.asks) == 1
    assert d.completer.counters["known"] == 1


def test_typing_along_an_answer_and_deleting_back_asks_the_model_nothing(desk: Callable[..., Desk]) -> None:
    d = desk("alpha + beta")
    assert d.texts(request("x = ", trigger="automatic")) == ["alpha + beta"]
    assert d.texts(request("x = al", trigger="automatic")) == ["pha + beta"]
    assert d.texts(request("x = alpha + b", trigger="automatic")) == ["eta"]
    assert d.texts(request("x = ", trigger="automatic")) == ["alpha + beta"]
    assert len(d.engine.asks) == 1


def test_typing_something_else_asks_with_the_old_answer_as_no_guess(desk: Callable[..., Desk]) -> None:
    d = desk("alpha")
    d.ask(request("x = "))
    d.ask(request("x = b"))
    assert [list(ask.hint) for ask in d.engine.asks] == [[], []]


def test_an_answer_that_was_cut_short_is_a_guess_for_the_next(desk: Callable[..., Desk]) -> None:
    d = desk("one two three four five")
    d.ask(request("x = ", max_tokens=3))
    d.ask(request("x = one", max_tokens=3))
    assert len(d.engine.asks) == 2
    # The word at the cursor is backed up over, so the guess begins with the character that was.
    assert "".join(chr(token) for token in d.engine.asks[1].hint) == "e two three"


def test_another_cell_below_or_another_path_is_another_question(desk: Callable[..., Desk]) -> None:
    d = desk("1")
    for path, below in (("a", "x"), ("b", "x"), ("b", "y")):
        d.ask(Completion(cells=[Cell(source="q"), Cell(source=below)], active=0, offset=1, path=path))
    assert len(d.engine.asks) == 3


def test_what_was_written_ahead_is_there_when_it_is_asked_for(desk: Callable[..., Desk]) -> None:
    d = desk("tail")
    d.ask(request("x = head + ", trigger="ahead"))
    assert d.texts(request("x = head + ", trigger="automatic")) == ["tail"]
    assert len(d.engine.asks) == 1


def test_a_silent_answer_is_remembered_as_silent_but_not_for_who_asks(desk: Callable[..., Desk]) -> None:
    d = desk("a + b", probability=0.1)
    for _ in range(2):
        assert d.texts(request("x = ", trigger="automatic")) == []
    assert len(d.engine.asks) == 1
    assert d.texts(request("x = ")) == ["a + b"]


def test_alternatives_and_drawn_texts_are_never_remembered(desk: Callable[..., Desk]) -> None:
    d = desk("a")
    for more in ({"temperature": 0.8}, {"temperature": 0.8}, {"n": 2}, {"n": 2}):
        d.ask(request("x = ", **more))
    assert d.completer.counters["known"] == 0


def test_a_model_that_is_gone_answers_nothing_from_memory(desk: Callable[..., Desk]) -> None:
    d = desk("a")
    d.ask(request("x = "))
    d.worker.stop()
    with pytest.raises(NotReadyError):
        d.completer.submit(request("x = "), lambda _: None)


def test_while_the_machine_is_needed_nothing_is_done_ahead(desk: Callable[..., Desk]) -> None:
    d = desk("a")
    d.resting = True
    for trigger in ("warm", "ahead"):
        (reply,) = d.ask(request("x = ", trigger=trigger))
        assert (reply.items, reply.finish_reason) == ((), "yielded")
    assert d.engine.asks == []
    assert d.texts(request("x = ", trigger="automatic", eagerness="always")) == ["a"]


def test_an_editors_own_request_is_answered_word_for_word(desk: Callable[..., Desk]) -> None:
    d = desk("one two\nthree", probability=0.01)
    asked = RawRequest("x = ", "\ny", window=True, stop=("\n",), sampling=Sampling(max_tokens=20))
    for _ in range(2):
        assert d.texts(asked) == ["one two"]
    assert len(d.engine.asks) == 2
    assert d.engine.asks[1].hint


def test_an_editors_request_for_nothing_only_reads(desk: Callable[..., Desk]) -> None:
    d = desk("one two")
    (reply,) = d.ask(RawRequest("x", "", window=True, sampling=Sampling(max_tokens=0)))
    assert [item.text for item in reply.items] in ([], [""])
    assert d.engine.samplings[0].max_tokens == 0


def test_what_one_person_asks_never_ends_what_another_asked_under_the_same_name(
    desk: Callable[..., Desk],
) -> None:
    d = desk("a " * 400, pause=0.005)
    ended: dict[str, str | None] = {}

    def ask(owner: str) -> tuple[Job, threading.Event]:
        done = threading.Event()

        def listen(reply: Reply) -> None:
            if reply.done:
                ended[owner] = reply.finish_reason
                done.set()

        job = d.completer.submit(request(client="same", max_tokens=400), listen, owner=owner)
        return job, done

    _, first_done = ask("ann")
    other, other_done = ask("ben")
    again, again_done = ask("ann")
    assert first_done.wait(5)
    assert ended == {"ann": "superseded"}
    assert not other_done.is_set()
    for job, done in ((other, other_done), (again, again_done)):
        job.cancel.set("stopped")
        assert done.wait(5)
    assert len(d.completer.latest) == 0


@pytest.mark.parametrize(
    ("asked", "priority"),
    [
        (RawRequest("x", stream=True), Priority.TEXT),
        (RawRequest("x", "y", window=True), Priority.TEXT),
        (RawRequest("x", n=2), Priority.BULK),
        (RawRequest("x", best_of=2), Priority.BULK),
        (RawRequest("x", bulk=True, stream=True), Priority.BULK),
        (request(n=3), Priority.TYPING),
        (request(trigger="automatic"), Priority.TYPING),
    ],
)
def test_who_asks_for_several_texts_is_not_typing(
    desk: Callable[..., Desk], asked: Completion | RawRequest, priority: Priority
) -> None:
    job, _, done = desk("a").begin(asked)
    assert job.priority is priority
    assert done.wait(5)


def test_who_waited_longer_than_the_deadline_is_told_that_it_was_the_deadline(
    desk: Callable[..., Desk],
) -> None:
    d = desk("a " * 400, pause=0.005, settings={"deadline": 0.3})
    for number in range(8):
        d.completer.submit(request(max_tokens=400), lambda _: None, owner=f"{number}")
    (reply,) = d.ask(request("y = ", max_tokens=400))
    assert (reply.items, reply.finish_reason) == ((), "deadline") or reply.items[
        0
    ].finish_reason == "deadline"


def test_a_text_without_a_limit_does_not_go_before_whoever_types() -> None:
    def urgency(limit: int) -> Priority:
        return priority_of(RawRequest(prompt="x", sampling=Sampling(max_tokens=limit)))

    assert [urgency(limit) for limit in (-1, 48, 4096)] == [Priority.BULK, Priority.TEXT, Priority.BULK]
