"""The engine protocol and the capabilities of an engine."""

from __future__ import annotations

from collections.abc import Set as AbstractSet  # noqa: TC003 - needed to decode `Capabilities` from a message
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.protocol.engine_request import EngineRequest, PrefixConstraint, Sampling
from jupyter_turbopilot.protocol.errors import BadRequestError

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.load_shedding import Level
    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.protocol.engine_request import Token

MAX_STEPS = 8  # a text of one token takes fewer steps
# Prompts are evaluated in chunks, so that a short prompt does not wait for a long one.
CHUNK = 64
# Larger chunks are faster, but new requests wait longer for the end of a chunk. So the size grows with the
# number of prompts longer than one chunk, up to this factor.
PIECES = 4
PROMPT_BATCH = 16  # tokens of the smallest batch that measures the speed of prompt evaluation
SLOTS = 8  # the default number of texts that an engine generates at a time
MOST_LISTED = 1 << 16  # logprobs for each position: no limit in practice
SAMPLING_OPTIONS = frozenset(field.name for field in fields(Sampling)) - {"max_tokens", "top", "beginning"}
# The values that disable an option and are not its default.
_OFF: dict[str, Any] = {"top_k": 0, "top_p": 1.0, "penalty_last_n": 0, "samplers": ()}
_NEED_TEMPERATURE = {"top_k", "top_p", "min_p", "typical_p", "samplers", "seed", "drawn"}
_DEFAULTS = Sampling()


class Speed(NamedTuple):
    """The measured speed of an engine in tokens per second; 0: not measured."""

    prompt: float = 0.0
    generation: float = 0.0

    def after(self, tokens: int, seconds: float) -> Speed:
        """Return the average with a batch: one token is generated, and a prompt has many."""
        field = "generation" if tokens == 1 else "prompt" if tokens >= PROMPT_BATCH else ""
        if not field or seconds <= 0:
            return self
        rate, before = tokens / seconds, getattr(self, field)
        return self._replace(**{field: (before + rate) / 2 if before else rate})


@dataclass(frozen=True)
class Capabilities:
    """The capabilities of an engine; `tests/engine/conformance.py` checks them."""

    slots: int = SLOTS  # how many texts it generates at a time
    prefix_constraints: bool = True  # whether it supports prefix constraints (`PrefixConstraint`)
    logprobs: bool = True  # whether it returns each token's probability, before temperature and penalties
    top: int = MOST_LISTED  # how many of the most likely tokens it can list at each position
    prefetch: bool = True  # whether it may prefetch
    samplers: AbstractSet[str] = SAMPLING_OPTIONS  # the supported options of `Sampling`
    remote: bool = False  # whether a remote server computes: a step only waits, and may be interrupted
    persistent: bool = True  # whether its identity is complete: cached completions may be saved to disk

    def check(self, sampling: Sampling) -> None:
        """Reject unsupported options, unless they have their default values."""
        if sampling.top > self.top:
            most = f"It can list at most {self.top}." if self.top else "It cannot list any."
            raise BadRequestError(
                f"This engine cannot list the {sampling.top} most likely tokens. {most}", field="logprobs"
            )
        if sampling.beginning != PrefixConstraint() and not self.prefix_constraints:
            name = "prefixes" if sampling.beginning.candidates else "banned_token"
            raise BadRequestError(
                f"This engine does not support prefix constraints. Remove {name} from the request.",
                field=name,
            )
        for name in sorted(SAMPLING_OPTIONS - self.samplers):
            value = getattr(sampling, name)
            is_unused = (name in _NEED_TEMPERATURE and sampling.temperature <= 0) or (
                name == "penalty_last_n" and not sampling.penalised
            )
            if is_unused or value in {_OFF.get(name), getattr(_DEFAULTS, name)}:
                continue
            raise BadRequestError(
                f"This engine does not support {name}. Remove it from the request.", field=name
            )


class Run(Protocol):
    """A text that is being generated."""

    fresh: list[Token]  # new tokens; the step loop removes them
    done: bool

    @property
    def pending(self) -> int:
        """The number of tokens to evaluate before the next one can be generated."""


class Engine(Protocol):
    """A loaded model. All methods are called from one thread; `start` creates the runs."""

    name: str
    fim: str  # the fill-in-the-middle format from the catalogue, or "auto"
    context_size: int
    identity: str  # changes whenever the same request could get another answer
    capabilities: Capabilities
    speed: Speed  # that of a remote server is not measured

    @property
    def level(self) -> Level | None:
        """The level of load shedding that a remote server has reported; None if it is unknown."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's tokens."""

    def start(self, request: EngineRequest) -> Run | None:
        """Return a new run, or None if there is no free slot."""

    def step(self, runs: list[Any], interrupt: Cancel) -> None:
        """Advance every run by its next tokens or by a chunk of its prompt; `interrupt` ends it early."""

    def suspend(self, run: Any) -> None:
        """Free the slot of a run, which keeps its text."""

    def resume(self, run: Any) -> bool:
        """Assign a slot to a suspended run; return False if none is free."""

    def release(self, run: Any) -> None:
        """End a run; its evaluated tokens stay cached."""

    def use_threads(self, count: int) -> None:
        """Set the number of threads for computing."""

    def close(self, *, keep: bool = True) -> None:
        """Free the memory; with `keep`, save the evaluated tokens for the next start."""


def generate_one(engine: Engine) -> None:
    """Generate a token if there is a free slot; an engine that has failed raises its error."""
    run = engine.start(EngineRequest([0], Sampling(max_tokens=1)))
    if run is None:
        return  # the next step of the other runs will show it
    try:
        for _ in range(MAX_STEPS):
            engine.step([run], Cancel())
            if run.done or run.fresh:
                break
    finally:
        engine.release(run)
