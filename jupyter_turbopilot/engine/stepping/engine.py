"""The step of engines that keep sequences: the next token of every text, and a chunk of the prompts."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.base import CHUNK, PIECES, PROMPT_BATCH, Capabilities, Speed
from jupyter_turbopilot.engine.load_shedding import Level
from jupyter_turbopilot.engine.stepping.drafts import Drafting, look_up
from jupyter_turbopilot.engine.stepping.run import BatchToken, Continuation, Guess, Sampler, Share, StepRun
from jupyter_turbopilot.protocol.errors import EngineError
from jupyter_turbopilot.util.bounds import LimitedDict
from jupyter_turbopilot.util.failures import on_failure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.stepping.sampling import Ids, Logits
    from jupyter_turbopilot.engine.stepping.sequences import Sequences
    from jupyter_turbopilot.engine.stepping.vocabulary import ByteTable
    from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling

# Less than one chunk of prompt is evaluated in one batch with the texts. Otherwise prompts and texts take
# turns: next to a full chunk, a token costs more than in a separate batch, because attention covers all cells
# for each row. Two runs share the time equally. The sooner all prompts are evaluated, the more texts are
# generated together, and eight together cost half as much as one by one. So each further text or prompt
# doubles the share of prompt evaluation, up to PREFILL_MAX. If a prompt is longer than LONG, only each
# further prompt does, because the other texts would wait too long.
PREFILL_MAX, LONG = 64, 512
# Once the generation of a text has taken SLOW seconds, prompts get at most this multiple of its time.
# Otherwise a suggestion of ten tokens would reach its deadline because of many long prompts.
SLOW, PREFILL_MAX_IF_SLOW = 2.0, 4
# A chunk takes at most so many seconds on a slow machine: an interrupted chunk is evaluated again.
CHUNK_SECONDS = 0.5
MAX_SEQUENCES = 16
MAX_CONTINUATIONS = 8  # with a row of logits each
MAX_OUTPUTS = 16  # rows of logits in a batch; llama.cpp requires at least one for each sequence


class Stepping(ABC):
    """The base class of engines that keep sequences; subclasses evaluate the batches."""

    ends: AbstractSet[int]
    controls: Ids
    table: ByteTable
    context_size: int
    sequences: Sequences
    capabilities = Capabilities()
    level: Level | None = Level.NONE
    drafts = True
    clock = staticmethod(time.perf_counter)

    def __init__(self, chunk: int = CHUNK) -> None:
        self.drafting = Drafting()
        self.speed = Speed()
        self.chunk = chunk  # the maximum number of tokens evaluated at a time for one prompt
        self._owed = 0.0  # the seconds that text generation may still use before the next prompt chunk
        self._continuations = LimitedDict[tuple[str, tuple[int, ...]], Continuation](MAX_CONTINUATIONS)

    @property
    def batch_size(self) -> int:
        """The maximum number of tokens in a batch."""
        return self.chunk * PIECES

    @abstractmethod
    def evaluate(self, rows: Sequence[BatchToken], interrupt: Cancel | None) -> bool:
        """Evaluate a batch; return False if `interrupt` aborted it."""

    @abstractmethod
    def logits(self, index: int) -> Logits:
        """Return the logits of an output row of the last batch."""

    def sampler(self, sampling: Sampling, prompt: Sequence[int]) -> Sampler | None:  # noqa: ARG002
        """Return the sampler of a text; None for the most likely tokens."""
        return None

    def start(self, request: EngineRequest) -> StepRun | None:
        """Start a run in the sequence with the longest common prefix; None if there is no free slot."""
        size = len(request.prompt)
        if not 0 < size < self.context_size:
            raise EngineError(
                f"A prompt of {size} tokens does not fit into a context of {self.context_size}. Send a "
                "shorter prompt, or raise c.Turbopilot.context_size."
            )
        limit = max(0, min(request.sampling.max_tokens, self.context_size - size))
        run = StepRun(request, list(request.prompt), limit, request.sampling.beginning, self.clock())
        self._repeat(run)
        if not self.resume(run):
            return None
        cached = len(run.sequence.tokens) + run.sequence.waiting
        request.usage.prompt_tokens, request.usage.cached_tokens = size, min(size, cached)
        if not request.sampling.plain:
            with on_failure(partial(self.release, run)):
                run.sampler = self.sampler(replace(request.sampling, max_tokens=limit), request.prompt)
        return run

    def _repeat(self, run: StepRun) -> None:
        """Begin a text with known tokens: while a word is typed, the prompt stays the same."""
        key = _continuation_key(run)
        known = self._continuations.get(key) if run.is_repeatable and run.limit else None
        if not known:
            return
        run.continuation, expected = known, [*known.tokens]
        token = run.choose(known.logits, self.table, self.controls, self.ends)
        run.done = token is None
        if expected and token != (expected[0] and expected[0].id):
            run.continuation = self._continuations[key] = Continuation(known.logits, [*run.fresh] or [None])
        elif not run.beginning.candidates:
            run.repeat(expected[1:])
        run.done = run.done or run.wrote >= run.limit
        run.request.usage.predicted_tokens = run.wrote

    def suspend(self, run: StepRun) -> None:
        self.sequences.release(run.sequence)
        run.suspended = True

    def resume(self, run: StepRun) -> bool:
        request = run.request
        sequence = self.sequences.take(
            run.tokens,
            run.limit - run.wrote,
            request.suffix_span,
            request.tenant,
            context_end=request.context_end,
            fresh=not (request.sampling.cached or run.wrote),
        )
        if sequence is None:
            return False
        run.sequence, run.suspended = sequence, False
        return True

    def step(self, runs: Sequence[StepRun], interrupt: Cancel) -> None:
        """Advance runs by one batch."""
        # A batch of several runs is not aborted: that would discard the work for all of them.
        alone = interrupt if len(runs) == 1 else None
        # A run that was suspended or has lost its sequence evaluates its tokens again within its text.
        writing = [run for run in runs if run.wrote and run.pending == 1]
        reading = [run for run in runs if not (run.wrote and run.pending == 1)]
        if not (writing and reading) or sum(run.unread for run in runs) < self.chunk:
            self._owed = 0.0
            self._evaluate_batch(self._next(runs), alone)
        elif self._owed <= 0.0:
            seconds = self._evaluate_batch(self._next(reading), alone)
            long = any(
                run.request.usage.prompt_tokens - run.request.usage.cached_tokens > LONG for run in reading
            )
            further = len(reading) - 1 if long else len(runs) - 2
            slow = any(self.clock() - run.started > SLOW for run in writing)
            self._owed += seconds / min(2**further, PREFILL_MAX_IF_SLOW if slow else PREFILL_MAX)
        else:
            self._owed -= self._evaluate_batch(self._next(writing), alone)

    def _evaluate_batch(self, shares: Sequence[Share], interrupt: Cancel | None) -> float:
        """Evaluate one batch; return its seconds."""
        rows = [row for share in shares for row in share.rows()]
        with on_failure(partial(self._forget_batch, shares)):
            begun = self.clock()
            whole = self.evaluate(rows, interrupt)
            seconds = self.clock() - begun
            if whole:
                self.drafting.saw(len(rows), seconds * 1000)
                self.speed = self.speed.after(len(rows), seconds)
                self._record(shares)
            else:
                self._resynchronize(shares[0].run)
        return seconds

    def _record(self, shares: Sequence[Share]) -> None:
        """Add the evaluated tokens to their sequences, and choose the next ones."""
        index = 0
        for run, known, guess in shares:
            start = len(run.sequence.tokens)
            self.sequences.extend(run.sequence, [*run.tokens[start : start + known], *guess.tokens])
            index += known
            if start + known == len(run.tokens):
                self._write(run, index - 1, guess)
            index += len(guess.tokens)

    def _forget_batch(self, shares: Sequence[Share]) -> None:
        """Clear the sequences of a failed batch: their cells in the KV cache are unknown."""
        for share in shares:
            self.sequences.cut(share.run.sequence, 0)

    def release(self, run: StepRun) -> None:
        if run.sampler:
            run.sampler.close()
            run.sampler = None
        if not run.suspended:
            self.sequences.release(run.sequence)

    def _next(self, runs: Sequence[StepRun]) -> list[Share]:
        """Return the shares of the next batch: a token of each text, and as much of the prompts as fits."""
        shares: list[Share] = []
        chunk = self.chunk
        is_even = any(run.request.sampling.even for run in runs)
        if (speed := self.speed.prompt) and not is_even:
            chunk = min(chunk, max(PROMPT_BATCH, int(speed * CHUNK_SECONDS)))
        prompts = sum(run.unread > chunk for run in runs)
        room = chunk * max(1, min(prompts, PIECES))
        # Shortest prompt first, which shortens the average wait. A quarter of the batch is reserved for the
        # run that has waited longest, so that a stream of short prompts does not starve it.
        longest = min((run for run in runs if run.pending > 1), key=lambda r: r.started, default=None)
        kept = max(0, min(room // 4, room - len(runs))) if longest else 0
        for run in sorted(runs, key=lambda r: r.pending):
            kept = 0 if run is longest else kept
            count = min(self._readable(run), room - kept)
            if run.request.sampling.even and 1 < count == run.pending:
                count -= 1  # evaluate the last token alone, as if the others were cached
            if count > 0:
                shares.append(Share(run, count, self._guess(run, count) if len(runs) == 1 else Guess()))
                room -= count
        # llama.cpp evaluates separate caches together only if their numbers are consecutive.
        return sorted(shares, key=lambda share: share.run.sequence.id)

    def _readable(self, run: StepRun) -> int:
        """Return how many tokens can be evaluated at once; reattach detached parts at their positions."""
        while run.sequence.parts:
            before = run.sequence.parts[0].start - len(run.sequence.tokens)
            if before > 0:
                return before
            self.sequences.reattach(run.sequence)
        return run.pending

    def _resynchronize(self, run: StepRun) -> None:
        """Update a sequence after an aborted batch from the KV cache."""
        sequence = run.sequence
        size = max(0, min(self.sequences.cache.length(sequence.id), len(run.tokens)))
        self.sequences.extend(sequence, run.tokens[len(sequence.tokens) : size])
        self.sequences.cut(sequence, size)

    def _guess(self, run: StepRun, count: int) -> Guess:
        """Return draft tokens to verify after `count` pending tokens, if that saves time."""
        left = min(run.limit - run.wrote - 1, self.chunk - count)
        sampling = run.request.sampling
        if not self.drafts or count < run.pending or not sampling.plain or sampling.even or left <= 0:
            return Guess()
        hint = run.request.hint
        written = run.tokens[len(run.request.prompt) :]
        source, guessed = "aligned" if run.request.aligned else "split", hint[len(written) :]
        if not guessed or list(hint[: len(written)]) != written:
            source = "lookup"
            guessed = look_up(run.tokens, hint, left) or look_up(run.tokens, run.tokens, left)
        most = min(len(guessed), left)
        return Guess(source, guessed[: self.drafting.length(source, count, most, continues=run.continues)])

    def _write(self, run: StepRun, index: int, guess: Guess) -> None:
        """Choose the next token, and further ones while they match the draft."""
        usage = run.request.usage
        if not run.wrote:
            now = self.clock()
            usage.prompt_ms, run.started = (now - run.started) * 1000, now
            if run.is_repeatable:
                known = Continuation(self.logits(index).copy())
                run.continuation = self._continuations[_continuation_key(run)] = known
        right = 0
        while run.wrote < run.limit:
            token = run.choose(self.logits(index + right), self.table, self.controls, self.ends)
            if token is None:
                run.done = True
            if right == len(guess.tokens) or token != guess.tokens[right]:
                break
            right += 1
        run.done = run.done or run.wrote >= run.limit
        usage.predicted_tokens = run.wrote
        usage.predicted_ms = (self.clock() - run.started) * 1000
        if guess.tokens:
            usage.drafted_tokens += len(guess.tokens)
            usage.accepted_tokens += right
            self.drafting.judged(guess.source, len(guess.tokens), right, continues=run.continues)
            run.continues = right == len(guess.tokens)
            if not run.continues:  # remove the rejected tokens
                self.sequences.cut(run.sequence, len(run.sequence.tokens) - len(guess.tokens) + right)


def _continuation_key(run: StepRun) -> tuple[str, tuple[int, ...]]:
    return run.request.tenant, tuple(run.request.prompt)
