"""Measure keystrokes in finished text, of which keys and values are moved instead of evaluated again.

    python research/benchmarks/moving.py edits --set notebooks.json.gz [--places 200] [--variants 16+16,0+0]
    python research/benchmarks/moving.py typing --set notebooks.json.gz [--requests 200]
    python research/benchmarks/moving.py infill --set notebooks.json.gz [--requests 200]

`edits`: a user edits cells above and returns to the same cell, several times in each notebook. Compares the
suggestion with that of a prompt that is evaluated exactly: differing texts, precision, keystrokes saved,
tokens evaluated and time. `--variants` lists numbers of tokens that are evaluated again, after an edit and
before the cursor. `--record`: a file to which the places are added; with another `--seed` a run adds others.
`typing`: keystrokes in finished cells, and at the end of cells. `infill`: `/infill` with and without
`move_suffix`, trace by trace. All run in this process, without other load.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Callable  # noqa: TC003 - the type of a constant
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from harness import DEFAULT, LocalPilot, percentile
from mixed_traces import mixed
from replay import score_trace

from jupyter_turbopilot.engine.stepping import moved_tokens, sequences
from jupyter_turbopilot.engine.stepping.moved_tokens import WORTH_MOVING
from jupyter_turbopilot.plugins.protocols.options import InfillBody, InfillExtra
from jupyter_turbopilot.prompt import formats
from jupyter_turbopilot.protocol.phase import Phase
from jupyter_turbopilot.suggestion.gate_fit import fit_for
from turbopilot_research.evaluate.notebooks import read
from turbopilot_research.evaluate.scoring import Score, Tally, bootstrap_interval, interval
from turbopilot_research.evaluate.traces import Keystroke, of_kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.engine.llama.engine import LlamaEngine
    from jupyter_turbopilot.engine.stepping.sequences import KVSequence
    from jupyter_turbopilot.protocol.engine_request import RawRequest
    from jupyter_turbopilot.protocol.request import Completion
    from turbopilot_research.evaluate.notebooks import TypedNotebook
    from turbopilot_research.evaluate.traces import Trace

VISITS = 5  # edits of cells above, each followed by a suggestion
ABOVE = 3  # cells above, at least
EXACT, NEXT = "exact", "the next keystroke"
AUTOMATIC: dict[str, Any] = {
    "trigger": "automatic",
    "eagerness": "always",
    "client": "typist",
    "max_tokens": 32,
}
DEFAULTS = f"{moved_tokens.REEVALUATED}+{formats.NEAR}"
FIGURES: dict[str, Callable[[Tally], float]] = {
    "precision": lambda tally: tally.precision,
    "saved": lambda tally: tally.share_saved,
}
_NUMBER = re.compile(r"\b\d+\b")
_NAME = re.compile(r"\b[a-z_]{3,}\b")


class Answer(NamedTuple):
    """A suggestion and its cost."""

    text: str
    confidence: float
    ms: float
    evaluated: int


class Row(NamedTuple):
    """A place after an edit, and the suggestions there."""

    name: str
    typed: str  # the cell's text before the cursor
    future: str
    answers: dict[str, Answer]


def ask(local: LocalPilot, request: Completion | RawRequest) -> Answer:
    """Submit a request and wait."""
    ms, reply = local.ask(request)
    item = reply.items[0] if reply.items else None
    spent = reply.timings
    evaluated = spent.prompt_tokens - spent.cached_tokens
    return Answer(item.text if item else "", item.confidence if item else 0.0, ms, evaluated)


# Edits of cells above ---------------------------------------------------------------------------------------


def undo(rng: random.Random, source: str) -> str:
    """Return a cell before an edit that results in it."""
    lines = source.split("\n")
    number = rng.randrange(len(lines))
    line = lines[number]
    kind = rng.choice(("insert", "delete", "replace"))
    if kind == "insert" and len(lines) > 1:
        del lines[number]
    elif kind == "delete":
        lines.insert(number, line)
    else:
        pattern = _NUMBER if _NUMBER.search(line) else _NAME
        lines[number] = pattern.sub(lambda found: found[0] + rng.choice(("0", "_x", "2")), line, count=1)
    return "\n".join(lines)


def visits(rng: random.Random, notebook: TypedNotebook) -> list[tuple[Keystroke, Keystroke]]:
    """Return the notebook and the cursor before and after each edit of a cell above."""
    cells, types = list(notebook.sources), notebook.types
    typed = [n for n in notebook.typed if sum(kind == "code" for kind in types[:n]) >= ABOVE]
    if not typed:
        return []
    active = rng.choice(typed)
    text = cells[active]
    above = [n for n in range(active) if types[n] == "code" and cells[n].strip()]
    states = [tuple(cells)]
    for _ in range(VISITS):
        edited = rng.choice(above)
        cells[edited] = undo(rng, cells[edited])
        states.insert(0, tuple(cells))
    in_finished_cell = rng.random() < 1 / 3
    found = []
    for (old, new), place in zip(
        pairwise(states), sorted(rng.randrange(1, len(text)) for _ in range(VISITS)), strict=True
    ):
        end = text.find("\n", place)
        source = text[:place] + (text[end:] if in_finished_cell and end >= 0 else "")
        before, after = (
            Keystroke(
                (*state[:active], source, *state[active + 1 :]), types, active, place, text[place:], place
            )
            for state in (old, new)
        )
        found.append((before, after))
    return found


def move(moves: bool) -> None:
    """Decide whether keys and values are moved: if not, no part is long enough."""
    moved_tokens.WORTH_MOVING = sequences.WORTH_MOVING = WORTH_MOVING if moves else 1 << 30


class Variants:
    """Asks for suggestions with keys and values moved in several ways, from the same evaluated prompt."""

    def __init__(self, local: LocalPilot) -> None:
        self.local = local
        self.engine: LlamaEngine = local.pilot.worker.engine  # type: ignore[assignment]

    def use(self, variant: str) -> None:
        """Set the numbers of tokens to evaluate again."""
        move(variant != EXACT)
        if variant != EXACT:
            moved_tokens.REEVALUATED, formats.NEAR = map(int, variant.split("+"))

    def forget(self) -> None:
        """Forget all evaluated prompts."""
        while self.local.pilot.worker.state.phase is Phase.GENERATING:  # the reply may come before the end
            time.sleep(0.001)
        self.engine.sequences.park_all()
        self.engine.sequences._parked.clear()  # noqa: SLF001
        self.engine._continuations.clear()  # noqa: SLF001

    def evaluate(self, step: Keystroke) -> KVSequence:
        """Evaluate a prompt exactly; return a copy of its sequence."""
        self.use(EXACT)
        self.local.ask(step.request(trigger="warmup"))
        sequence = max(self.engine.sequences.idle(), key=lambda one: one.turn)
        kept = replace(
            sequence, tokens=[*sequence.tokens], stale=[*sequence.stale], context_end=len(sequence.tokens)
        )
        return replace(kept, state=self.engine.sequences.cache.save(sequence.id))

    def restore(self, saved: KVSequence) -> None:
        """Return to an evaluated prompt."""
        self.forget()
        self.engine.sequences.adopt(saved)


def edits(local: LocalPilot, notebooks: Sequence[TypedNotebook], options: argparse.Namespace) -> None:
    """Record the suggestions after edits, and report all recorded ones."""
    rng = random.Random(options.seed)  # noqa: S311 - a reproducible choice
    rows = [Row(*row) for row in json.loads(options.record.read_text())] if options.record.exists() else []
    method = Variants(local)
    end = time.monotonic() + options.minutes * 60
    count = 0
    while count < options.places and time.monotonic() < end:
        notebook = rng.choice(notebooks)
        if not (made := visits(rng, notebook)):
            continue
        method.forget()
        saved = method.evaluate(made[0][0])
        answers: dict[str, list[Answer]] = {}
        for variant in (EXACT, *options.variants):
            method.restore(saved)
            method.use(variant)
            for before, after in made:
                local.ask(before.request(trigger="warmup"))
                answers.setdefault(variant, []).append(ask(local, after.request(**AUTOMATIC)))
                if variant == options.variants[0] and after.future[1:]:
                    key = ask(local, next_key(after).request(**AUTOMATIC))
                    answers.setdefault(NEXT, []).append(key)
                elif variant == options.variants[0]:
                    answers.setdefault(NEXT, []).append(answers[variant][-1])
        for index, (_, after) in enumerate(made):
            typed = after.cells[after.active][: after.offset]
            found = {variant: each[index] for variant, each in answers.items()}
            rows.append(Row(notebook.name, typed, after.future, found))
        count += len(made)
    options.record.write_text(json.dumps(rows))
    report([row._replace(answers={name: Answer(*a) for name, a in row.answers.items()}) for row in rows])


def report(rows: list[Row]) -> None:
    """Print the tables."""
    print(f"{len(rows)} places in {len({row.name for row in rows})} notebooks")
    print("| evaluated again after + before | places | differing | precision | saved | balanced: precision "
          "| saved | evaluated | median ms | p95 |")  # fmt: skip
    for variant in dict.fromkeys(name for row in rows for name in row.answers):
        own = [row for row in rows if variant in row.answers]
        answers = [row.answers[variant] for row in own]
        if variant == NEXT:
            print(f"| {variant} | {len(own)} | | | | | |", " | ".join(times(answers)), "|")
            continue
        differing = statistics.mean(row.answers[variant].text != row.answers[EXACT].text for row in own)
        cells = [variant, str(len(own)), f"{differing:.3f}"]
        for threshold in (0.0, fit_for(DEFAULT).thresholds["balanced"]):
            tallies = score(own, variant, threshold)
            total = sum(tallies, start=Tally())
            for figure in FIGURES.values():
                low, high = interval(tallies, figure)
                cells.append(f"{figure(total):.3f} ({low:.3f} to {high:.3f})")
        print("|", " | ".join([*cells, *times(answers)]), "|")
        for name, figure in FIGURES.items():
            exact, moved = (score(own, each, 0.0) for each in (EXACT, variant))
            print(f"{name}, {variant} minus exact:", difference(moved, exact, figure))


def next_key(step: Keystroke) -> Keystroke:
    """Return the keystroke that types the next character."""
    return replace(step.accepting(step.future[0]), future=step.future[1:], place=step.place + 1)


def score(rows: list[Row], variant: str, threshold: float) -> list[Tally]:
    """Return the scores by notebook; each place is independent of the others."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    for row in rows:
        answer = row.answers[variant]
        own = Score()
        text = answer.text if answer.confidence >= threshold else ""
        own.show(0, len(row.typed), row.typed, text, row.future)
        line = len(row.future.partition("\n")[0])
        own.typed(line, line)
        tallies[row.name] += own.total
    return list(tallies.values())


def difference(ours: list[Tally], theirs: list[Tally], figure: Callable[[Tally], float]) -> str:
    """Return the paired difference of a metric with its interval over notebooks."""

    def of(pairs: list[tuple[Tally, Tally]]) -> float:
        one, other = (sum(tallies, start=Tally()) for tallies in zip(*pairs, strict=True))
        return figure(one) - figure(other)

    pairs = list(zip(ours, theirs, strict=True))
    low, high = bootstrap_interval(pairs, of)
    return f"{of(pairs):+.4f} ({low:+.4f} to {high:+.4f})"


def times(answers: Sequence[Answer]) -> list[str]:
    """Return the mean tokens evaluated, the median and the 95th percentile of the milliseconds."""
    ms = [answer.ms for answer in answers]
    mean = statistics.mean(answer.evaluated for answer in answers)
    return [f"{mean:.1f}", f"{statistics.median(ms):.0f}", f"{percentile(ms, 0.95):.0f}"]


# Typing -----------------------------------------------------------------------------------------------------


def typing(local: LocalPilot, notebooks: Sequence[TypedNotebook], count: int) -> None:
    """Type at the end of cells and in finished cells, with and without moving the suffix.

    As in JupyterLab, entering a cell evaluates its prompt, and what follows a suggestion is prefetched.
    """
    print("| typing | keystrokes | evaluated | median ms | p95 | precision | saved |")
    texts: list[list[str]] = []
    for kind, moves in (("append", True), ("edit", True), ("edit", False)):
        move(moves)
        local.pilot.completer.results.clear()
        runs: list[tuple[Trace, list[Answer]]] = []
        for trace in of_kind(notebooks, kind, count):
            local.ask(trace.keystrokes[0].request(trigger="warmup"))
            runs.append((trace, []))
            for step in trace.keystrokes:
                runs[-1][1].append(answer := ask(local, step.request(**AUTOMATIC)))
                if answer.text:
                    more = AUTOMATIC | {"trigger": "prefetch"}
                    local.ask(step.accepting(answer.text).request(**more))
        flat = [answer for _, run in runs for answer in run]
        texts.append([answer.text for answer in flat])
        total = sum((score_trace(trace, [a.text for a in run]) for trace, run in runs), start=Tally())
        cells = [*times(flat), f"{total.precision:.3f}", f"{total.share_saved:.3f}"]
        print(f"| {kind}, moving {moves} | {len(flat)} |", " | ".join(cells), "|", flush=True)
    print(f"differing texts {statistics.mean(a != b for a, b in zip(*texts[1:], strict=True)):.3f}")


# Infill -----------------------------------------------------------------------------------------------------


def infill_request(step: Keystroke, *, moves: bool) -> RawRequest:
    """Return a keystroke in llama.cpp's protocol."""
    body = InfillBody(
        input_prefix=step.prefix,
        input_suffix=step.suffix,
        input_extra=[InfillExtra(text=step.below, filename="below")] if step.below else [],
        n_predict=32,
        stop=["\n"],
        temperature=0.0,
        move_suffix=moves,
    )
    return replace(body.texts()[0], salt=str(moves))


def infill(local: LocalPilot, notebooks: Sequence[TypedNotebook], count: int) -> None:
    """Type over `/infill` with and without moving, trace by trace."""
    traces = mixed(notebooks, count)
    found: dict[bool, list[tuple[Trace, list[Answer]]]] = {False: [], True: []}
    for number, trace in enumerate(traces):
        for moves in (True, False) if number % 2 else (False, True):
            answers = [ask(local, infill_request(step, moves=moves)) for step in trace.keystrokes]
            found[moves].append((trace, answers))
    print("| move_suffix | requests | evaluated | median ms | p95 | mean ms | precision | saved |")
    for moves, runs in found.items():
        for kind in ("", "append", "edit", "hop"):
            own = [(trace, run) for trace, run in runs if kind in ("", trace.kind)]
            flat = [answer for _, run in own for answer in run]
            total = sum((score_trace(trace, [a.text for a in run]) for trace, run in own), start=Tally())
            mean = statistics.mean(answer.ms for answer in flat)
            print(f"| {moves} {kind} | {len(flat)} |", " | ".join(times(flat)), f"| {mean:.0f} |",
                  f"{total.precision:.3f} | {total.share_saved:.3f} |", flush=True)  # fmt: skip
    off, on = ([a for _, run in found[moves] for a in run] for moves in (False, True))
    print(f"mean time, on / off {sum(a.ms for a in on) / sum(a.ms for a in off):.3f}")
    print(f"differing texts {statistics.mean(a.text != b.text for a, b in zip(on, off, strict=True)):.3f}")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["edits", "typing", "infill"])
    parser.add_argument("--set", type=Path, required=True, help="a prepared set, or a folder of notebooks")
    parser.add_argument("--places", type=int, default=200)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--record", type=Path, default=Path("moving.json"), help="file to add the places to")
    parser.add_argument("--variants", type=lambda text: text.split(","), default=[DEFAULTS])
    options = parser.parse_args()
    notebooks = read(options.set)
    local = LocalPilot(notebook_index=False, caches=options.what == "typing")
    try:
        if options.what == "edits":
            edits(local, notebooks, options)
        elif options.what == "typing":
            typing(local, notebooks, options.requests)
        else:
            infill(local, notebooks, options.requests)
    finally:
        local.close()


if __name__ == "__main__":
    main()
