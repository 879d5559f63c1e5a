"""One step for everybody: the next token of every text, and a bounded piece of the prompts."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.base import CHUNK, PIECES, Abilities
from jupyter_turbopilot.engine.stepping.drafts import Drafting, look_up
from jupyter_turbopilot.engine.stepping.moves import Move, Truncate
from jupyter_turbopilot.engine.stepping.run import BatchToken, Guess, Sampler, Share, StepRun
from jupyter_turbopilot.engine.stepping.sequences import KVSequence, Partition, Sequences, Taken
from jupyter_turbopilot.errors import EngineError
from jupyter_turbopilot.generation import Ask, Sampling, Token, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.stepping.sampling import Ids, Logits
    from jupyter_turbopilot.engine.stepping.vocabulary import ByteTable

# Less than one piece is computed together. Otherwise prompts and texts take turns: beside a full piece, a
# token costs more than in a batch of its own, because attention then covers everybody's cells for each row.
# Between two people both share the time equally. The sooner all prompts are read, the more texts are written
# together, and eight together cost half of what they cost alone: so each further text or prompt doubles what
# reading gets, up to this; but only each further prompt where one has more tokens than that, which others who
# write would wait for too long.
READING_MOST, LONG = 64, 512
# Once the generation of a text has taken so many seconds, prompts get no more than this multiple of its time:
# beside many long prompts a suggestion of ten tokens would otherwise reach its deadline.
SLOW, READING_MOST_IF_SLOW = 2.0, 4
MAX_SEQUENCES = 16
MAX_OUTPUTS = 16  # rows of logits in a batch; llama.cpp wants no fewer than sequences


class Stepping(ABC):
    """What is common to engines that keep sequences; a subclass does the computing."""

    ends: AbstractSet[int]
    controls: Ids
    table: ByteTable
    context_size: int
    abilities = Abilities()
    pid: int | None = None
    drafts = True
    clock = staticmethod(time.perf_counter)

    def __init__(self, chunk: int = CHUNK) -> None:
        self.drafting = Drafting()
        self.chunk = chunk  # tokens computed at a time for one prompt, at most
        # By adapters: the seconds that texts are still to be written for, since prompts were read.
        self._owed: defaultdict[int, float] = defaultdict(float)
        self.sequences = Sequences(0, 0)
        self.tunings: dict[str, int] = {}  # numbers of the languages that adapters are for; 0 is any other

    @property
    def batch_size(self) -> int:
        """How many tokens a batch has, at most."""
        return self.chunk * PIECES

    @abstractmethod
    def apply(self, moves: Iterable[Move]) -> None:
        """Carry out what the bookkeeping decided."""

    @abstractmethod
    def evaluate(self, rows: Sequence[BatchToken], interrupt: Cancel | None) -> bool:
        """Compute a batch; False where `interrupt` aborted it."""

    @abstractmethod
    def logits(self, index: int) -> Logits:
        """Return the logits of a row of the last batch that asked for them."""

    def sampler(self, sampling: Sampling, prompt: Sequence[int]) -> Sampler | None:  # noqa: ARG002
        """Return what draws the tokens of one text; None to take the likeliest."""
        return None

    @abstractmethod
    def length(self, sequence: int) -> int:
        """Return how many tokens the memory holds of a sequence."""

    def start(self, ask: Ask) -> StepRun | None:
        """Find the sequence that shares most with a prompt; None while others need the room."""
        size = len(ask.prompt)
        if not 0 < size < self.context_size:
            raise EngineError(
                f"A prompt of {size} tokens does not fit into a context of {self.context_size}. Send a "
                "shorter one, or raise c.Turbopilot.context_size."
            )
        limit = max(0, min(ask.sampling.max_tokens, self.context_size - size))
        taken = self._take(ask, ask.prompt, limit, fresh=not ask.sampling.cached)
        if taken is None:
            return None
        ask.usage.prompt_tokens = size
        ask.usage.cached_tokens = taken.kept + (taken.suffix.count if taken.suffix else 0)
        run = StepRun(
            ask,
            taken.sequence,
            list(ask.prompt),
            limit,
            ask.sampling.beginning,
            self.clock(),
            taken.suffix,
        )
        if not ask.sampling.plain:
            try:
                run.sampler = self.sampler(replace(ask.sampling, max_tokens=limit), ask.prompt)
            except BaseException:
                self.release(run)
                raise
        return run

    def _take(self, ask: Ask, tokens: Sequence[int], room: int, *, fresh: bool = False) -> Taken | None:
        """Find a sequence for tokens and what is still to be written; None while others need the room."""
        partition = Partition(ask.owner, self.tunings.get(ask.language, 0), ask.passing)
        taken = self.sequences.take(tokens, room, ask.suffix_span, partition, fresh=fresh)
        if taken is None:
            return None
        try:
            self.apply(taken.moves)
        except BaseException:
            self.apply(self.sequences.lose(taken))
            raise
        return taken

    def suspend(self, run: StepRun) -> None:
        """Give a run's room to others; what it has written stays."""
        self._release_sequence(run)
        run.suspended = True

    def resume(self, run: StepRun) -> bool:
        """Take room again for a run that was suspended; False while others need it."""
        taken = self._take(run.ask, run.tokens, run.limit - run.wrote)
        if taken is None:
            return False
        run.sequence, run.suffix, run.suspended = taken.sequence, taken.suffix, False
        return True

    def tune(self, tuning: int) -> None:  # noqa: B027 - an engine may know no adapters
        """Compute with these adapters from now on."""

    def step(self, runs: Sequence[StepRun], interrupt: Cancel) -> None:
        """Advance all runs and hand out what they wrote, those in one language after those in another."""
        # What serves one of several is not aborted: whoever else leaves would undo what was computed for it.
        alone = interrupt if len(runs) == 1 else None
        for tuning in sorted({run.sequence.partition.tuning for run in runs}):
            self.tune(tuning)
            self._advance(tuning, [run for run in runs if run.sequence.partition.tuning == tuning], alone)

    def _advance(self, tuning: int, runs: Sequence[StepRun], interrupt: Cancel | None) -> None:
        """Advance runs with the same adapters by one batch."""
        # A run that gave up its room, or lost what was read, has to read again in the middle of its text.
        writing = [run for run in runs if run.wrote and run.pending == 1]
        reading = [run for run in runs if not (run.wrote and run.pending == 1)]
        if not (writing and reading) or sum(run.unread for run in runs) < self.chunk:
            self._owed[tuning] = 0.0
            self._compute(self._next(runs), interrupt)
        elif self._owed[tuning] <= 0.0:
            seconds = self._compute(self._next(reading), interrupt)
            long = any(run.ask.usage.prompt_tokens - run.ask.usage.cached_tokens > LONG for run in reading)
            further = len(reading) - 1 if long else len(runs) - 2
            slow = any(self.clock() - run.started > SLOW for run in writing)
            self._owed[tuning] += seconds / min(2**further, READING_MOST_IF_SLOW if slow else READING_MOST)
        else:
            self._owed[tuning] -= self._compute(self._next(writing), interrupt)

    def _compute(self, shares: Sequence[Share], interrupt: Cancel | None) -> float:
        """Compute one batch; return how many seconds it took."""
        rows = [row for share in shares for row in share.rows()]
        begun = self.clock()
        try:
            whole = self.evaluate(rows, interrupt)
        except BaseException:
            self._forget_batch(shares)
            raise
        seconds = self.clock() - begun
        if not whole:
            self._resynchronize(shares[0].run)
            return seconds
        self.drafting.saw(len(rows), seconds * 1000)
        try:
            self._record(shares)
        except BaseException:
            self._forget_batch(shares)
            raise
        return seconds

    def _record(self, shares: Sequence[Share]) -> None:
        """Note what was computed, and choose the tokens that follow."""
        index = 0
        for run, known, guess in shares:
            start = len(run.sequence.tokens)
            self.sequences.grow(run.sequence, [*run.tokens[start : start + known], *guess.tokens])
            index += known
            if start + known == len(run.tokens):
                self._write(run, index - 1, guess)
            index += len(guess.tokens)

    def _forget_batch(self, shares: Sequence[Share]) -> None:
        """Forget what was read for a batch that failed: nobody knows what the memory holds of it."""
        for share in shares:
            self._forget(share.run.sequence)

    def _forget(self, sequence: KVSequence) -> None:
        self.sequences.cut(sequence, 0)
        self.apply([Truncate(sequence.id, 0)])

    def release(self, run: StepRun) -> None:
        """Release a run; what was read is kept for the next one."""
        if run.sampler:
            run.sampler.close()
            run.sampler = None
        if not run.suspended:
            self._release_sequence(run)

    def _release_sequence(self, run: StepRun) -> None:
        """Release a run's sequence."""
        if run.suffix:
            self.apply(self.sequences.drop_suffix(run.suffix))
            run.suffix = None
        self.sequences.release(run.sequence)

    def _next(self, runs: Sequence[StepRun]) -> list[Share]:
        """Return what a batch computes: a token of each text, and of prompts as much as it has room for."""
        shares: list[Share] = []
        prompts = sum(run.unread > self.chunk for run in runs)
        room = self.chunk * max(1, min(prompts, PIECES))
        # The shortest first: a prompt that is nearly read is answered soon, and the total stays the same. But
        # a quarter is kept for whoever has waited longest: short ones that come without end hold up nobody.
        longest = min((run for run in runs if run.pending > 1), key=lambda r: r.started, default=None)
        kept = max(0, min(room // 4, room - len(runs))) if longest else 0
        for run in sorted(runs, key=lambda r: r.pending):
            kept = 0 if run is longest else kept
            count = min(self._readable(run), room - kept)
            if run.ask.sampling.even and 1 < count == run.pending:
                count -= 1  # the last one alone, as when the others are in the cache
            if count > 0:
                shares.append(Share(run, count, self._guess(run, count) if len(runs) == 1 else Guess()))
                room -= count
        return shares

    def _readable(self, run: StepRun) -> int:
        """Return how many tokens can be read at once; reattach a detached suffix when its place comes."""
        if run.suffix is None:
            return run.pending
        before = run.suffix.at - len(run.sequence.tokens)
        if before > 0:
            return before
        suffix, run.suffix = run.suffix, None
        try:
            self.apply(self.sequences.reattach(run.sequence, suffix))
        except BaseException:
            self._forget(run.sequence)
            self.apply([Truncate(suffix.sequence.id, 0)])
            raise
        return run.pending

    def _resynchronize(self, run: StepRun) -> None:
        """Ask the memory what an aborted batch left behind."""
        sequence = run.sequence
        size = max(0, min(self.length(sequence.id), len(run.tokens)))
        self.sequences.cut(sequence, size)
        self.sequences.grow(sequence, run.tokens[len(sequence.tokens) : size])
        self.apply([Truncate(sequence.id, size)])

    def _cut(self, sequence: KVSequence, start: int) -> None:
        moves: list[Move] = []
        self.sequences.cut(sequence, start, moves)
        self.apply(moves)

    def _guess(self, run: StepRun, count: int) -> Guess:
        """Guess what follows the `count` tokens that are to be read, if that pays."""
        left = min(run.limit - run.wrote - 1, self.chunk - count)
        sampling = run.ask.sampling
        if not self.drafts or count < run.pending or not sampling.plain or sampling.even or left <= 0:
            return Guess()
        hint = run.ask.hint
        written = run.tokens[len(run.ask.prompt) :]
        source, guessed = "aligned" if run.ask.aligned else "split", hint[len(written) :]
        if not guessed or list(hint[: len(written)]) != written:
            source = "lookup"
            guessed = look_up(run.tokens, hint, left) or look_up(run.tokens, run.tokens, left)
        most = min(len(guessed), left)
        return Guess(source, guessed[: self.drafting.length(source, count, most, continues=run.continues)])

    def _write(self, run: StepRun, index: int, guess: Guess) -> None:
        """Choose the next token, and those after it for as long as the guess was right."""
        usage = run.ask.usage
        if not run.wrote:
            now = self.clock()
            usage.prompt_ms, run.started = (now - run.started) * 1000, now
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
            # Wrong guesses are in the cache; they are removed.
            self._cut(run.sequence, len(run.sequence.tokens) - len(guess.tokens) + right)


def write(
    engine: Stepping, prompt: Sequence[int], sampling: Sampling, usage: Usage, cancel: Cancel
) -> Iterator[Token]:
    """Write one text alone, outside a worker."""
    run = engine.start(Ask(prompt, sampling, usage))
    if run is None:
        raise EngineError("The engine is busy. Try again in a moment.")
    try:
        while not run.done and not cancel.is_set():
            engine.step([run], cancel)
            yield from run.fresh
            run.fresh.clear()
    finally:
        engine.release(run)
