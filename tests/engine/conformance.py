"""The checks that every engine has to pass. Each is a function of a `Subject`.

`test_conformance.py` runs all checks for every engine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from threading import Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.engine.base import SAMPLING_OPTIONS, Engine
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.vocabulary import vocabulary_digest
from jupyter_turbopilot.plugins.remote.vocabulary import CodePoints
from jupyter_turbopilot.prompt.formats import form_for
from jupyter_turbopilot.protocol.engine_request import EngineRequest, PrefixConstraint, Sampling, Token, Usage
from jupyter_turbopilot.protocol.errors import BadRequestError, TextFailedError, TurbopilotError

from .test_base import ASKED

PATIENCE = 30.0  # seconds for one text: a tiny model takes a few milliseconds
LENGTH = 24  # tokens of a text
PROMPTS = ("def f(x): return", "import numpy", "x = 1\ny = ", "for name in names:\n    ", "class A", "print(")


@dataclass
class Subject:
    """An engine to check, and a function that loads another instance."""

    load: Callable[[], Engine]
    by_character: bool = False  # whether prefix constraints must be complete characters
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.engine = self.load()

    @property
    def approximate(self) -> bool:
        """Whether the model's vocabulary is unknown, so that tokens are characters."""
        return isinstance(self.engine.vocabulary, CodePoints)

    def ids(self, text: str) -> list[int]:
        return self.engine.vocabulary.tokenize(text)

    def ask(self, text: str, length: int = LENGTH, **sampling: Any) -> EngineRequest:
        return EngineRequest(self.ids(text), Sampling(max_tokens=length, **sampling))

    def long_ask(self) -> EngineRequest:
        """Return a request whose text reaches the maximum length."""
        for text in PROMPTS:
            if len(self.write(self.ask(text))) == LENGTH:
                return self.ask(text)
        raise AssertionError("All texts end early. Use a model with other weights.")

    def start(self, engine_request: EngineRequest) -> Any:
        run = self.engine.start(engine_request)
        assert run is not None, "there is no free slot"
        return run

    def write(self, engine_request: EngineRequest) -> list[Token]:
        """Generate one text."""
        return self.together([engine_request])[0]

    def together(self, asks: Sequence[EngineRequest]) -> list[list[Token]]:
        """Generate texts in parallel."""
        runs = [self.start(engine_request) for engine_request in asks]
        try:
            return self.finish(runs)
        finally:
            for run in runs:
                self.engine.release(run)

    def finish(self, runs: Sequence[Any]) -> list[list[Token]]:
        """Step runs until all are done; return their new tokens."""
        texts: list[list[Token]] = [[] for _ in runs]
        end = time.monotonic() + PATIENCE
        while unfinished := [run for run in runs if not run.done]:
            assert time.monotonic() < end, "a text does not end"
            step(self.engine, unfinished)
            for run, text in zip(runs, texts, strict=True):
                text.extend(taken(run))
        return texts

    def first_tokens(self, run: Any) -> list[Token]:
        """Step a run until it has tokens."""
        end = time.monotonic() + PATIENCE
        while not (run.fresh or run.done):
            assert time.monotonic() < end, "no token is generated"
            self.engine.step([run], Cancel())
        return taken(run)


def step(engine: Engine, runs: Sequence[Any]) -> None:
    """Run a step; raise the error of a single failed text as the worker reports it."""
    try:
        engine.step(list(runs), Cancel())
    except TextFailedError as failed:
        raise failed.error from None


def taken(run: Any) -> list[Token]:
    """Remove and return the new tokens of a run."""
    fresh = list[Token](run.fresh)
    run.fresh = []
    return fresh


def text_of(tokens: Sequence[Token]) -> bytes:
    return b"".join(token.data for token in tokens)


def ids_of(tokens: Sequence[Token]) -> list[int]:
    return [token.id for token in tokens]


Check = Callable[[Subject], None]
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    """Add a check to the suite."""
    CHECKS.append(function)
    return function


# Generation ---------------------------------------------------------------------------------------------


@check
def step_returns_tokens_as_they_are_generated(subject: Subject) -> None:
    engine_request = subject.long_ask()
    run = subject.start(engine_request)
    assert run.pending > 0
    first = subject.first_tokens(run)
    assert first
    # The network determines how many tokens of a remote engine arrive at a time.
    if not subject.engine.capabilities.remote:
        assert len(first) < LENGTH
        assert not run.done
    (rest,) = subject.finish([run])
    subject.engine.release(run)
    assert len(first) + len(rest) == LENGTH
    assert engine_request.usage.prompt_tokens == len(engine_request.prompt)
    assert engine_request.usage.predicted_tokens >= LENGTH


@check
def greedy_text_is_deterministic(subject: Subject) -> None:
    engine_request = subject.long_ask()
    whole = subject.write(engine_request)
    assert len(whole) == LENGTH
    subject.write(subject.ask("something else altogether"))
    assert text_of(subject.write(engine_request)) == text_of(whole)
    subject.write(replace(engine_request, prompt=[*engine_request.prompt[:-1]]))
    assert text_of(subject.write(engine_request)) == text_of(whole)


@check
def tokens_contain_their_bytes(subject: Subject) -> None:
    """The bytes of a character may be split across tokens."""
    piece = subject.engine.vocabulary.piece
    tokens = subject.write(subject.long_ask())
    assert [token.data for token in tokens] == [piece(token.id) for token in tokens]
    if subject.engine.capabilities.prefix_constraints:
        prefix = "né — 😀".encode()
        tokens = subject.write(subject.ask("x = ", LENGTH, beginning=PrefixConstraint((prefix,))))
        assert text_of(tokens).startswith(prefix)


@check
def release_does_not_change_the_next_text(subject: Subject) -> None:
    engine_request = subject.long_ask()
    whole = subject.write(engine_request)
    run = subject.start(engine_request)
    subject.first_tokens(run)
    subject.engine.release(run)
    unevaluated = subject.start(subject.ask("never evaluated"))
    subject.engine.release(unevaluated)
    assert text_of(subject.write(engine_request)) == text_of(whole)


@check
def cached_prompts_are_separated_by_tenant(subject: Subject) -> None:
    engine_request = subject.long_ask()
    texts, cached = list[bytes](), list[int]()
    for tenant in ("one", "one", "other"):
        asked = replace(engine_request, tenant=tenant, usage=Usage())
        texts.append(text_of(subject.write(asked)))
        cached.append(asked.usage.cached_tokens)
    assert texts[0] == texts[1] == texts[2]
    assert cached[0] == cached[2] == 0
    assert cached[1] or subject.engine.capabilities.remote  # a remote server may not report it


@check
def interrupt_ends_a_step_early(subject: Subject) -> None:
    """While the interrupt is set, neither the prompt nor the text is completed."""
    engine_request = subject.long_ask()
    whole = subject.write(engine_request)
    interrupt = Cancel()
    interrupt.set("interrupt")
    for prefill in (True,) if subject.engine.capabilities.remote else (True, False):
        # No cached tokens shorten the prompt.
        fresh = _claimed(subject, {"cached": False}) if prefill else {}
        run = subject.start(replace(engine_request, sampling=replace(engine_request.sampling, **fresh)))
        generated = [] if prefill else subject.first_tokens(run)
        for _ in range(len(engine_request.prompt) + LENGTH):
            subject.engine.step([run], interrupt)
        assert not run.done
        generated += taken(run)
        assert len(generated) < LENGTH
        (rest,) = subject.finish([run])
        subject.engine.release(run)
        assert text_of([*generated, *rest]) == text_of(whole)


@check
def interrupt_is_possible_at_any_time(subject: Subject) -> None:
    engine_request = subject.long_ask()
    whole = subject.write(engine_request)
    run, text = subject.start(engine_request), list[Token]()
    while not run.done:
        early, late = Cancel(), Cancel()
        early.set("interrupt")
        other = Thread(target=late.set, args=("interrupt",))
        other.start()
        for interrupt in (late, early, Cancel()):
            if not run.done:
                subject.engine.step([run], interrupt)
        other.join()
        text += taken(run)
    subject.engine.release(run)
    assert text_of(text) == text_of(whole)


@check
def hint_does_not_change_the_text(subject: Subject) -> None:
    engine_request = subject.long_ask()
    whole = subject.write(engine_request)
    for hint in (ids_of(whole), ids_of(whole)[::-1], ids_of(whole)[3:]):
        for aligned in (True, False):
            assert text_of(subject.write(replace(engine_request, hint=hint, aligned=aligned))) == text_of(
                whole
            )


@check
def moved_suffix_does_not_change_other_texts(subject: Subject) -> None:
    engine_request = subject.long_ask()
    whole = subject.write(engine_request)
    after = subject.ids("\nprint(x)\n" * 4)
    for typed in ("x =", "x = 1", "x = 1 +"):
        prompt = [*subject.ids(typed), *after]
        span = (len(prompt) - len(after) + 9, len(prompt) - 1)
        moved = EngineRequest(prompt, Sampling(max_tokens=4), suffix_span=span)
        assert len(subject.write(moved)) <= 4
    assert text_of(subject.write(engine_request)) == text_of(whole)


@check
def fill_in_the_middle_generates_no_markers(subject: Subject) -> None:
    words = subject.engine.vocabulary
    markers = form_for(words.find_token, words.markers, subject.engine.fim).markers
    if not markers:
        return
    order = [markers["prefix"], *subject.ids("x = "), markers["suffix"], *subject.ids("\nprint(x)")]
    prompt = [*order, *([markers["middle"]] if "middle" in markers else [])]
    tokens = subject.write(EngineRequest(prompt, Sampling(max_tokens=LENGTH)))
    assert not set(ids_of(tokens)) & set(markers.values())


# Parallel texts -----------------------------------------------------------------------------------------


@check
def parallel_texts_fill_all_slots(subject: Subject) -> None:
    asks = [subject.ask(f"{number} {PROMPTS[0]}", 6) for number in range(subject.engine.capabilities.slots)]
    alone = [text_of(subject.write(engine_request)) for engine_request in asks]
    assert [text_of(text) for text in subject.together(asks)] == alone


@check
def resume_continues_a_suspended_text(subject: Subject) -> None:
    if subject.approximate:
        return
    engine_request = subject.long_ask()
    whole = subject.write(engine_request)
    run = subject.start(engine_request)
    generated = subject.first_tokens(run)
    subject.engine.suspend(run)
    generated += taken(run)
    subject.write(subject.ask("in between"))
    assert subject.engine.resume(run)
    (rest,) = subject.finish([run])
    subject.engine.release(run)
    assert text_of([*generated, *rest]) == text_of(whole)


@check
def release_frees_the_slot(subject: Subject) -> None:
    engine = subject.engine
    for number in range(40):
        run = subject.start(subject.ask(f"{number} and more"))
        if number % 2:
            subject.first_tokens(run)
        if number % 4 > 1:
            engine.suspend(run)
        if number % 8 > 5:
            assert engine.resume(run)
        engine.release(run)
    for number in range(2):
        subject.write(subject.ask(f"{number}" * (engine.context_size // 4)))
    asks = [subject.ask(f"{number}", 2) for number in range(engine.capabilities.slots)]
    assert len(subject.together(asks)) == len(asks)


@check
def error_does_not_change_other_texts(subject: Subject) -> None:
    engine_request = subject.long_ask()
    whole = subject.write(engine_request)
    run = subject.start(engine_request)
    generated = subject.first_tokens(run)
    with pytest.raises(TurbopilotError):
        subject.write(
            EngineRequest(subject.ids("x" * (4 * subject.engine.context_size)), Sampling(max_tokens=4))
        )
    (rest,) = subject.finish([run])
    subject.engine.release(run)
    assert text_of([*generated, *rest]) == text_of(whole)


# Limits -------------------------------------------------------------------------------------------------


@check
def text_has_at_most_max_tokens(subject: Subject) -> None:
    engine_request = subject.long_ask()
    for most in (0, 1, 5):
        assert len(subject.write(replace(engine_request, sampling=Sampling(max_tokens=most)))) == most


@check
def text_ends_at_the_context_size(subject: Subject) -> None:
    if subject.approximate:
        return
    size = subject.engine.context_size
    prompt = ([*subject.long_ask().prompt] * size)[: size - 3]
    assert len(subject.write(EngineRequest(prompt, Sampling(max_tokens=LENGTH)))) <= 3


@check
def start_rejects_a_prompt_that_does_not_fit(subject: Subject) -> None:
    size = subject.engine.context_size
    token = subject.ids("x")[:1]
    for length in (0, size, size + 1):
        with pytest.raises(TurbopilotError) as refused:
            subject.write(EngineRequest(token * length, Sampling(max_tokens=4)))
        assert refused.value.message


@check
def use_threads_changes_the_number_of_threads(subject: Subject) -> None:
    engine_request = subject.long_ask()
    for count in (2, 1):
        subject.engine.use_threads(count)
        assert len(subject.write(replace(engine_request, sampling=Sampling(max_tokens=5)))) == 5


# Capabilities -------------------------------------------------------------------------------------------


@check
def probabilities_are_valid(subject: Subject) -> None:
    if not subject.engine.capabilities.logprobs:
        return
    sampled = [subject.long_ask()]
    if "temperature" in subject.engine.capabilities.samplers:
        sampled.append(subject.ask(PROMPTS[0], temperature=1.0))
    for engine_request in sampled:
        chances = [token.probability for token in subject.write(engine_request)]
        assert all(math.isfinite(chance) and 0 < chance <= 1 for chance in chances)
        assert len(set(chances)) > 1


@check
def top_logprobs_are_sorted(subject: Subject) -> None:
    capabilities = subject.engine.capabilities
    count = min(4, capabilities.top)
    if not count:
        with pytest.raises(BadRequestError):
            capabilities.check(Sampling(top=1))
        return
    engine_request = subject.long_ask()
    for token in subject.write(replace(engine_request, sampling=replace(engine_request.sampling, top=count))):
        logarithms = [chance for _, chance in token.top]
        assert len({other for other, _ in token.top}) == len(token.top) == count
        assert all(before >= after for before, after in pairwise(logarithms))
        assert sum(map(math.exp, logarithms)) <= 1.001
        logprob = dict(token.top).get(token.id)
        if capabilities.logprobs and logprob is not None:
            assert math.exp(logprob) == pytest.approx(token.probability, rel=1e-3)
    assert all(not token.top for token in subject.write(engine_request))


def _constrained(subject: Subject, beginning: PrefixConstraint) -> list[Token]:
    """Generate a text with a prefix constraint; return nothing if the engine does not support it."""
    capabilities, sampling = subject.engine.capabilities, Sampling(max_tokens=LENGTH, beginning=beginning)
    if not capabilities.prefix_constraints:
        with pytest.raises(BadRequestError):
            capabilities.check(sampling)
        return []
    return subject.write(EngineRequest(subject.long_ask().prompt, sampling))


@check
def prefix_constraint_is_satisfied(subject: Subject) -> None:
    words = subject.engine.vocabulary
    parts = () if subject.by_character else (("é".encode()[:1],), ("é".encode()[1:],))
    for candidates in ((b"zebra",), (b"alpha", b"beta", b"al"), *parts):
        if tokens := _constrained(subject, PrefixConstraint(candidates)):
            assert text_of(tokens).startswith(candidates)
            assert text_of(tokens) == b"".join(words.piece(token.id) for token in tokens)


@check
def typed_text_is_not_repeated(subject: Subject) -> None:
    words = subject.engine.vocabulary
    for typed in (1, 3, 5):
        if tokens := _constrained(subject, PrefixConstraint((b"zebra", b"zebracrossing"), typed)):
            whole = b"".join(words.piece(token.id) for token in tokens)
            assert whole.startswith(b"zebra")
            assert text_of(tokens) == whole[typed:]
            wholly = [token for token in tokens if not token.data]
            assert {token.probability for token in wholly} <= {1.0}


@check
def banned_token_is_not_generated_first(subject: Subject) -> None:
    if not subject.engine.capabilities.prefix_constraints:
        assert not _constrained(subject, PrefixConstraint(banned=1))
        return
    first = subject.write(subject.long_ask())[0]
    other = _constrained(subject, PrefixConstraint(banned=first.id))[0]
    assert other.id != first.id
    # It is banned only as the first token.
    again = _constrained(subject, PrefixConstraint(banned=other.id))
    assert text_of(again) == text_of(subject.write(subject.long_ask()))


DRAWN: dict[str, Any] = {"temperature": 1.5, "top_k": 0, "top_p": 1.0, "seed": 5}
ONE_LEFT: dict[str, Any] = {"top_k": 1, "top_p": 1e-6, "min_p": 1.0}
# Options that have no effect without another one.
_OF_DRAWING = ("top_k", "top_p", "min_p", "typical_p", "samplers", "seed", "drawn")
NEEDED = dict.fromkeys(_OF_DRAWING, "temperature") | {"penalty_last_n": "repeat_penalty"}


def _claimed(subject: Subject, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that the engine supports."""
    return {name: value for name, value in options.items() if name in subject.engine.capabilities.samplers}


@check
def only_supported_options_are_accepted(subject: Subject) -> None:
    capabilities = subject.engine.capabilities
    base = _claimed(subject, {"temperature": 0.9, "repeat_penalty": 1.1})
    for name in sorted(SAMPLING_OPTIONS):
        sampling = Sampling(max_tokens=4, **(base | {name: ASKED[name]}))
        if name in capabilities.samplers:
            capabilities.check(sampling)
            subject.write(EngineRequest(subject.ids("x = "), sampling))
        elif NEEDED.get(name, name) in {name, *base}:  # otherwise it has no effect and may be accepted
            with pytest.raises(BadRequestError) as refused:
                capabilities.check(sampling)
            assert refused.value.field == name


@check
def seed_makes_sampling_deterministic(subject: Subject) -> None:
    if not subject.engine.capabilities.samplers >= {"temperature", "seed"}:
        return
    drawn = _claimed(subject, DRAWN)
    texts = [text_of(subject.write(subject.ask("seed", **(drawn | {"seed": seed})))) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


@check
def single_candidate_is_the_most_likely_token(subject: Subject) -> None:
    engine_request = subject.long_ask()
    whole = text_of(subject.write(engine_request))
    for name, value in _claimed(subject, ONE_LEFT).items():
        if "temperature" not in subject.engine.capabilities.samplers:
            continue
        sampling = Sampling(max_tokens=LENGTH, **(_claimed(subject, DRAWN) | {name: value}))
        assert text_of(subject.write(replace(engine_request, sampling=sampling))) == whole


@check
def bias_and_penalties_change_the_text(subject: Subject) -> None:
    claimed = subject.engine.capabilities.samplers
    if "logit_bias" not in claimed:
        return
    token = subject.ids("q")[0]
    likely = replace(subject.long_ask(), sampling=Sampling(max_tokens=8, logit_bias=((token, 60.0),)))
    assert ids_of(subject.write(likely)) == [token] * 8
    for name in ("repeat_penalty", "frequency_penalty", "presence_penalty"):
        if name in claimed:
            strong: dict[str, Any] = {"penalty_last_n": -1, name: 90.0}
            penalised = replace(likely, sampling=replace(likely.sampling, **strong))
            try:
                assert ids_of(subject.write(penalised)) != [token] * 8
            except BadRequestError as refused:
                assert refused.field == name  # a server may have stricter limits


# Identity and vocabulary --------------------------------------------------------------------------------


@check
def identity_is_stable(subject: Subject) -> None:
    engine = subject.engine
    assert engine.identity
    assert engine.name
    assert engine.context_size > LENGTH
    assert engine.capabilities.slots > 0
    other = subject.load()
    try:
        assert (other.identity, other.name) == (engine.identity, engine.name)
        assert vocabulary_digest(other.vocabulary) == vocabulary_digest(engine.vocabulary)
    finally:
        other.close(keep=False)


@check
def tokenize_and_piece_round_trip(subject: Subject) -> None:
    words = subject.engine.vocabulary
    controls = set(words.specials.values()) | set(words.ends)

    @settings(max_examples=40)
    @given(st.text(max_size=40) | st.sampled_from(["né — 😀", " a\n\n\tb ", "x" * 300]), st.booleans())
    def round_trip(text: str, continues: bool) -> None:
        tokens = words.tokenize(text, continues=continues)
        assert b"".join(map(words.piece, tokens)) == text.encode()
        assert not controls & set(tokens)

    round_trip()


@check
def typed_control_token_stays_text(subject: Subject) -> None:
    words = subject.engine.vocabulary
    for text, token in words.specials.items():
        assert words.find_token(text) == token
        tokens = words.tokenize(f"a{text}b")
        assert token not in tokens
        assert b"".join(map(words.piece, tokens)) == f"a{text}b".encode()
    assert words.find_token("no control token at all") is None


@check
def unknown_token_raises_index_error(subject: Subject) -> None:
    words = subject.engine.vocabulary
    for token in (-1, 2**31 - 1):
        with pytest.raises(IndexError):
            words.piece(token)
    assert words.unit >= 1
    assert all(words.piece(token) is not None for token in {*words.ends, *words.specials.values()})
