"""Every engine is put through one suite, and broken ones show that the suite can fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.engine.abilities import Abilities
from jupyter_turbopilot.engine.base import Engine
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.isolated.engine import load_isolated
from jupyter_turbopilot.engine.isolated.hosted import HostedLlama
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.llama.vocabulary import load_vocabulary
from jupyter_turbopilot.engine.load.plan import Plan
from jupyter_turbopilot.engine.remote import loading as remote
from jupyter_turbopilot.engine.transformers.checkpoint import TransformersOptions
from jupyter_turbopilot.engine.transformers.loader import load
from jupyter_turbopilot.errors import EngineError, TurbopilotError
from jupyter_turbopilot.generation import Ask, Beginning, Token

from ..llama_server import LlamaServer
from ..serving import Server
from ..tiny_model import learn_merges, write_tiny_model
from . import conformance
from .conformance import CHECKS, Check, Subject
from .transformers import checkpoints

CODE = "import numpy as np\ndef mean(values):\n    return sum(values) / len(values)\nprint('né 😀')\n" * 3
CONTEXT = 256


def llama(folder: Path, **more: Any) -> Callable[[], Engine]:
    path = write_tiny_model(folder / "tiny.gguf", **more)
    return lambda: LlamaEngine(path, name="tiny", context_size=CONTEXT, threads=1)


def isolated(folder: Path) -> Callable[[], Engine]:
    path = write_tiny_model(folder / "tiny.gguf")
    hosted = HostedLlama(str(path), Plan(CONTEXT, threads=1, needs=0), "tiny")
    vocabulary = load_vocabulary(path)
    return lambda: load_isolated(hosted, lambda: vocabulary, Cancel(), timeout=60)


class Wrapped:
    """A real engine, changed in one thing."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


class Modest(Wrapped):
    """Claims little of what it can do."""

    abilities = Abilities(
        places=1, holds=False, chances=False, top=0, ahead=False, samplers=frozenset({"temperature"})
    )


def modest(folder: Path) -> Callable[[], Any]:
    load = llama(folder)
    return lambda: Modest(load())


def transformers(folder: Path) -> Callable[[], Engine]:
    path = checkpoints.write(folder, "qwen2", max_position_embeddings=CONTEXT)
    return lambda: load(path, TransformersOptions(threads=1), name="tiny")


SERVERS: list[Server | LlamaServer] = []  # that a subject asks


def served(folder: Path, *, by_text: bool = False) -> Callable[[], Engine]:
    local, server = llama(folder)(), Server(folder / "tiny.gguf")
    SERVERS.append(server)
    settings = Turbopilot()
    settings.remote.urls, key = [f"{server.url}/v1"], folder / "key"
    settings.remote.key_file = str(key)
    key.touch(0o600)
    key.write_text(server.key)
    return lambda: remote.load(settings, Cancel(), lambda _: None if by_text else local.vocabulary)


def llama_served(folder: Path) -> Callable[[], Engine]:
    local = llama(folder, ascii_only=True)()  # of broken characters it tells no tokens
    SERVERS.append(LlamaServer(folder / "tiny.gguf", CONTEXT))
    settings = Turbopilot()
    settings.remote.urls = [SERVERS[-1].url]
    return lambda: remote.load(settings, Cancel(), lambda _: local.vocabulary)


# An engine is a line: what writes its files into a folder and returns what loads it.
ENGINES: dict[str, Callable[[Path], Callable[[], Engine]]] = {
    "llama": llama,
    "llama with tokens of several bytes": lambda folder: llama(folder, merges=learn_merges(CODE, 60)),
    "llama that claims little": modest,
    "llama in a child process": isolated,
    "transformers": transformers,
    "remote": served,
    "remote, llama-server": llama_served,
    "remote by text": lambda folder: served(folder, by_text=True),
}


@pytest.fixture(scope="module", params=ENGINES)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """An engine and how another one like it is loaded."""
    made = Subject(ENGINES[request.param](tmp_path_factory.mktemp("engine")))
    yield made
    made.engine.close(keep=False)
    while SERVERS:
        SERVERS.pop().stop()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_engine_does_what_it_has_to_and_what_it_claims(subject: Subject, check: Check) -> None:
    check(subject)


class Broken(Wrapped):
    """A real engine with one fault."""


class Silent(Broken):
    """Hands out nothing before the end."""

    def step(self, runs: Sequence[Any], attention: Cancel) -> None:
        while not all(run.done for run in runs):
            self._engine.step([run for run in runs if not run.done], attention)


class Sharing(Broken):
    """Has what was read for one owner serve another."""

    def start(self, ask: Ask) -> Any:
        return self._engine.start(replace(ask, owner=""))


class Deaf(Broken):
    """Does not look at what wants its attention."""

    def step(self, runs: Sequence[Any], attention: Cancel) -> None:
        self._engine.step(list(runs), Cancel())


class Nervous(Broken):
    """Ends what it writes where something wants its attention."""

    def step(self, runs: Sequence[Any], attention: Cancel) -> None:
        self._engine.step(list(runs), attention)
        for run in runs if attention.is_set() else ():
            run.done = True


class Hoarding(Broken):
    """Keeps the room of what has ended."""

    def release(self, run: Any) -> None:
        pass


class Amnesiac(Broken):
    """Begins anew what it has suspended."""

    def resume(self, run: Any) -> bool:
        del run.tokens[len(run.ask.prompt) :]
        run.wrote = 0
        return bool(self._engine.resume(run))


class Changing(Broken):
    """Changes the tokens that it hands out."""

    def changed(self, token: Token, run: Any) -> Token:
        raise NotImplementedError

    def step(self, runs: Sequence[Any], attention: Cancel) -> None:
        seen = [len(run.fresh) for run in runs]
        self._engine.step(list(runs), attention)
        for run, start in zip(runs, seen, strict=True):
            run.fresh[start:] = [self.changed(token, run) for token in run.fresh[start:]]


class Sure(Changing):
    """Is surer than it can be."""

    def changed(self, token: Token, run: Any) -> Token:
        return replace(token, probability=1.0)


class Upended(Changing):
    """Tells the likeliest tokens last."""

    def changed(self, token: Token, run: Any) -> Token:
        return replace(token, top=token.top[::-1])


class Mangling(Changing):
    """Replaces what is no character by itself."""

    def changed(self, token: Token, run: Any) -> Token:
        return replace(token, data=token.data.decode("utf-8", "replace").encode())


class Babbling(Changing):
    """Writes markers."""

    def changed(self, token: Token, run: Any) -> Token:
        return replace(token, id=run.ask.prompt[0])


class Mixing(Broken):
    """Hands out to one what another asked for."""

    def step(self, runs: Sequence[Any], attention: Cancel) -> None:
        self._engine.step(list(runs), attention)
        fresh = [run.fresh for run in runs]
        for run, other in zip(runs, [*fresh[1:], fresh[0]], strict=True):
            run.fresh = other


class Claiming(Broken):
    """Claims what it does not do, with changed asks."""

    def changed(self, ask: Ask) -> Ask:
        return ask

    def start(self, ask: Ask) -> Any:
        return self._engine.start(self.changed(ask))


def dropping(**fields: Any) -> type[Claiming]:
    """Return a class of engines that ignore fields of `Sampling`."""

    class Ignoring(Claiming):
        def changed(self, ask: Ask) -> Ask:
            return replace(ask, sampling=replace(ask.sampling, **fields))

    return Ignoring


class Lax(Claiming):
    """Holds no text to what was typed."""

    def changed(self, ask: Ask) -> Ask:
        beginning = replace(ask.sampling.beginning, typed=0)
        return replace(ask, sampling=replace(ask.sampling, beginning=beginning))


class Gullible(Claiming):
    """Takes a hint for what was written."""

    def changed(self, ask: Ask) -> Ask:
        return replace(ask, prompt=[*ask.prompt, *ask.hint])


class Moody(Claiming):
    """Writes less once something has happened."""

    happened = False

    def changed(self, ask: Ask) -> Ask:
        most = min(ask.sampling.max_tokens, 3) if self.happened else ask.sampling.max_tokens
        return replace(ask, sampling=replace(ask.sampling, max_tokens=most))


class Sulking(Moody):
    """Writes less after it was interrupted."""

    def release(self, run: Any) -> None:
        self.happened = self.happened or not run.done
        self._engine.release(run)


class Tired(Moody):
    """Writes less after its threads were changed."""

    def use_threads(self, count: int) -> None:
        self.happened = True


class Dizzy(Moody):
    """Writes less after something was moved."""

    def start(self, ask: Ask) -> Any:
        self.happened = self.happened or ask.suffix_span != (0, 0)
        return super().start(ask)


class Bored(Moody):
    """Writes less each time it is asked the same."""

    def start(self, ask: Ask) -> Any:
        run = super().start(ask)
        self.happened = True
        return run


class Fragile(Broken):
    """Ends everything where one prompt does not fit."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._runs: list[Any] = []

    def start(self, ask: Ask) -> Any:
        try:
            run = self._engine.start(ask)
        except EngineError:
            for other in self._runs:
                other.done = True
            raise
        self._runs.append(run)
        return run


class Boastful(Broken):
    """Has less room than it says."""

    @property
    def context_size(self) -> int:
        return int(self._engine.context_size + 8)


class Shy(Broken):
    """Refuses what it claims."""

    def start(self, ask: Ask) -> Any:
        Abilities(samplers=frozenset({"temperature"})).check(ask.sampling)
        return self._engine.start(ask)


class Cropping(Claiming):
    """Leaves out of a prompt what does not fit."""

    def changed(self, ask: Ask) -> Ask:
        return replace(ask, prompt=[*ask.prompt][-self.context_size + 8 :] or [1])


class Restless(Broken):
    """Is another one each time."""

    numbers = count()

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.identity = str(next(self.numbers))


class Careless(Broken):
    """Takes a control token in a text for one."""

    @property
    def vocabulary(self) -> Any:
        return CarelessVocabulary(self._engine.vocabulary)


class CarelessVocabulary(Broken):
    """Takes a control token in a text for one, cuts text and knows every number."""

    def tokenize(self, text: str, *, behind: bool = False) -> list[int]:
        for name, token in self.specials.items():
            if name in text:
                return [token]
        tokens: list[int] = self._engine.tokenize(text, behind=behind)
        return tokens[:200]

    def piece(self, token: int) -> bytes:
        try:
            data: bytes = self._engine.piece(token)
        except IndexError:
            return b""
        return data


FAULTS: list[tuple[type[Broken], Check]] = [
    (Silent, conformance.a_text_comes_as_it_is_written),
    (Bored, conformance.the_likeliest_text_is_the_same_each_time),
    (Mangling, conformance.a_token_is_its_bytes),
    (Sulking, conformance.a_text_that_is_released_midway_leaves_the_next_one_alone),
    (Gullible, conformance.a_wrong_hint_changes_nothing),
    (Dizzy, conformance.a_suffix_that_moves_leaves_other_texts_alone),
    (Babbling, conformance.a_prompt_with_a_suffix_is_filled_in),
    (Mixing, conformance.as_many_texts_are_written_together_as_there_are_places),
    (Fragile, conformance.an_error_spoils_nobody_elses_text),
    (Boastful, conformance.a_text_ends_with_the_context),
    (Tired, conformance.the_number_of_threads_may_change),
    (Sharing, conformance.what_was_read_for_one_owner_serves_no_other),
    (Deaf, conformance.attention_cuts_a_step_short),
    (Nervous, conformance.attention_may_come_at_any_time),
    (Hoarding, conformance.the_room_of_what_has_ended_is_free_again),
    (Amnesiac, conformance.a_text_goes_on_where_it_was_suspended),
    (dropping(max_tokens=conformance.LENGTH), conformance.no_text_is_longer_than_it_may_be),
    (dropping(beginning=Beginning()), conformance.a_text_begins_in_one_of_the_ways),
    (dropping(beginning=Beginning()), conformance.a_banned_token_is_not_the_first),
    (Lax, conformance.what_was_typed_is_not_said_again),
    (Sure, conformance.chances_are_probabilities),
    (Upended, conformance.the_likeliest_tokens_are_told_in_order),
    (dropping(top=0), conformance.the_likeliest_tokens_are_told_in_order),
    (dropping(seed=7), conformance.the_same_seed_draws_the_same_text),
    (dropping(top_k=0), conformance.where_one_token_is_left_it_is_the_likeliest),
    (dropping(min_p=0.0), conformance.where_one_token_is_left_it_is_the_likeliest),
    (dropping(logit_bias=()), conformance.a_bias_and_a_penalty_decide),
    (dropping(presence_penalty=0.0), conformance.a_bias_and_a_penalty_decide),
    (Shy, conformance.each_option_that_is_claimed_is_accepted_and_any_other_refused_by_name),
    (Cropping, conformance.a_prompt_that_does_not_fit_is_refused_in_words),
    (Restless, conformance.it_says_what_its_answers_depend_on),
    (Careless, conformance.text_comes_back_from_tokens_as_it_was),
    (Careless, conformance.a_control_token_that_somebody_types_stays_text),
    (Careless, conformance.a_token_that_does_not_exist_is_an_index_error),
]


@pytest.mark.parametrize(("broken", "check"), FAULTS)
def test_the_suite_finds_what_is_broken(broken: type[Broken], check: Check, tmp_path: Path) -> None:
    load = llama(tmp_path)
    sound = Subject(load)
    check(sound)
    sound.engine.close(keep=False)
    engine = load()
    subject = Subject(lambda: broken(engine))
    # As a check fails, or by an error of the engine's own that no check expects.
    with pytest.raises((AssertionError, pytest.fail.Exception, TurbopilotError)):
        check(subject)
    engine.close(keep=False)


def test_each_check_is_shown_to_find_something() -> None:
    assert {check for _, check in FAULTS} == set(CHECKS)
