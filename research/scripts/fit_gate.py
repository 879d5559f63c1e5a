"""Collect completions at many positions of notebooks, and fit the gate's decision trees to them.

python research/scripts/fit_gate.py collect --set NOTEBOOKS --out places.jsonl [-m MODEL] [--engine ENGINE]
python research/scripts/fit_gate.py collect --set NOTEBOOKS --out blank.jsonl --blank 2 [-m MODEL]
python research/scripts/fit_gate.py fit --set NOTEBOOKS -m MODEL places.jsonl --blank blank.jsonl

The thresholds are chosen by cross-validation: the notebooks of a package are scored by trees that were fitted
to other packages. `fit --write` writes the model's trees and thresholds; `--keep` fits only thresholds.
"""

from __future__ import annotations

import argparse
import codecs
import json
import random
import re
import sys
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np

from jupyter_turbopilot.analysis.syntax import fitting
from jupyter_turbopilot.cli import read_settings
from jupyter_turbopilot.completer.cache.completion_cache import CompletionCache
from jupyter_turbopilot.context.notebook import gather
from jupyter_turbopilot.suggestion.gate import Gate
from jupyter_turbopilot.suggestion.names import AnyNames
from jupyter_turbopilot.suggestion.scores import (
    DEFAULT,
    FITS,
    CursorFeatures,
    Tree,
    Trees,
    cursor_features,
    fit_for,
)
from jupyter_turbopilot.suggestion.surroundings import surroundings_of
from jupyter_turbopilot.suggestion.trim import trim
from jupyter_turbopilot.terminal.in_process import InProcess
from turbopilot_research.evaluate.notebooks import read
from turbopilot_research.evaluate.scoring import Score, Tally, is_end_of_line, judge
from turbopilot_research.evaluate.traces import EVERY, LONGEST_CELL, request_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.completer.cache.completion_cache import CacheKey
    from jupyter_turbopilot.protocol.engine_request import Token
    from jupyter_turbopilot.protocol.request import Completion
    from jupyter_turbopilot.util.notebook_file import NotebookCell
    from turbopilot_research.evaluate.notebooks import TypedNotebook


class Recorder(CompletionCache):
    """A completion cache that finds nothing and records what is generated."""

    def __init__(self) -> None:
        super().__init__(0)
        self.tokens: list[Token] = []
        self.ended = False

    def find(self, cache_key: CacheKey) -> None:
        """Find nothing."""

    def remember(
        self,
        cache_key: CacheKey,  # noqa: ARG002
        tokens: Sequence[Token],
        *,
        ended: bool,
        partial: bool = False,  # noqa: ARG002
    ) -> None:
        """Record a completion."""
        self.tokens, self.ended = list(tokens), ended


Written = tuple[list[tuple[bytes, float]], bool]  # tokens with their probabilities; whether the model ended


class Server:
    """Completes like the server."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._local = _in_process(options)
        self._recorder = Recorder()
        self._local.pilot.completer.shared.results = self._recorder

    def write(self, request: Completion) -> Written:
        """Return the generated tokens."""
        self._recorder.tokens, self._recorder.ended = [], False
        self._local.last(request)
        return [(token.data, token.probability) for token in self._recorder.tokens], self._recorder.ended

    def close(self) -> None:
        """Unload the model."""
        self._local.close()


_LINE = re.compile(r"\n[ \t]*(?=\S)")


def every(cell: NotebookCell) -> Sequence[int]:
    """Return every fourth position of a cell."""
    return range(EVERY, len(cell.source[:LONGEST_CELL]), EVERY)


def blank(notebook: TypedNotebook, count: int) -> list[tuple[int, int]]:
    """Choose empty cells with code above, and empty lines, `count` of each: the cell and the position in it.

    A line is indented like the one that follows.
    """
    rng = random.Random(notebook.name)  # noqa: S311 - a reproducible choice
    code = [n for n, cell in enumerate(notebook.cells) if cell.type == "code" and cell.source.strip()]
    rng.shuffle(cells := [(n, 0) for n in code[1:]])
    ends = {n: [line.end() for line in _LINE.finditer(notebook.cells[n].source[:LONGEST_CELL])] for n in code}
    rng.shuffle(lines := [(n, rng.choice(found)) for n, found in ends.items() if found])
    return sorted(cells[:count] + lines[:count])


def above(notebook: TypedNotebook, active: int) -> TypedNotebook:
    """Return the notebook without the cells below, because the user has not typed them yet."""
    return replace(notebook, cells=notebook.cells[: active + 1])


def _in_process(options: argparse.Namespace) -> InProcess:
    settings = read_settings(options.model, engine=options.engine)
    settings.eagerness, settings.max_tokens = "always", options.tokens
    settings.yield_cpu = settings.keep_sequences = False
    settings.cache_file, settings.deadline = "", 60.0
    if options.adapters is not None:
        settings.adapters = options.adapters
    local = InProcess(settings)
    local.wait()
    return local


def collect(options: argparse.Namespace) -> None:
    """Write a line for each position: the cell, the cursor, and the tokens with their probabilities."""
    source = Server(options)
    notebooks = read(options.set)
    numbers = [n for n in range(len(notebooks)) if options.half in {"all", ("fitted", "held-out")[n % 2]}]
    chosen: list[tuple[int, int, Sequence[int]]]
    if options.blank:
        chosen = [(n, active, [at]) for n in numbers for active, at in blank(notebooks[n], options.blank)]
    else:
        # Take one cell of each notebook in turn, so that an interrupted run covers every notebook.
        turns = sorted((turn, n) for n in numbers for turn in range(len(notebooks[n].typed)))
        cells = [(n, notebooks[n].typed[turn]) for turn, n in turns[: options.cells or None]]
        chosen = [(n, active, every(notebooks[n].cells[active])) for n, active in cells]
    with options.out.open("w", encoding="utf-8") as out:
        for done, (number, active, places) in enumerate(chosen, 1):
            notebook = above(notebooks[number], active) if options.blank else notebooks[number]
            for place in places:
                written, ended = source.write(request_at(notebook, active, place, trigger="automatic"))
                tokens = [(data.decode("latin-1"), round(probability, 5)) for data, probability in written]
                line = {
                    "notebook": number,
                    "cell": active,
                    "position": place,
                    "tokens": tokens,
                    "ended": ended,
                }
                out.write(json.dumps(line) + "\n")
            out.flush()
            print(f"{done}/{len(chosen)} {notebook.name}", file=sys.stderr, flush=True)
    source.close()


class Watching(Gate):
    """A gate that records the features of the score instead of computing it."""

    def __init__(self, cursor: CursorFeatures) -> None:
        super().__init__(cursor, 0.0)
        self.found: list[dict[str, float]] = []

    def rate(self, values: dict[str, float]) -> float:
        """Record the features."""
        self.found.append(values)
        return 1.0


@dataclass
class Position:
    """A completion at a position: its boundaries, their features, and which of them are correct."""

    notebook: int
    package: str
    cell: int
    place: int
    before: str
    future: str
    text: str
    watching: Watching
    right: list[bool]
    scores: Sequence[float] = ()
    fit: dict[str, bool] = field(default_factory=dict)

    def fits(self, text: str) -> bool:
        """Return whether the cell can still become valid code, and record it."""
        if text not in self.fit:
            self.fit[text] = fitting("python", self.before)(text)
        return self.fit[text]

    def shown(self, threshold: float) -> str:
        """Return the text that a gate shows."""
        names = AnyNames()
        names.fit = self.fits  # type: ignore[method-assign]
        gate = Gate(self.watching.cursor, threshold, names)
        gate.boundaries = [
            boundary._replace(score=score)
            for boundary, score in zip(self.watching.boundaries, self.scores, strict=True)
        ]
        gate.tokens = self.watching.tokens
        end, _ = gate.shown(self.text)
        return self.text[:end]


def look(line: dict[str, Any], notebook: TypedNotebook) -> Position:
    """Trim a completion and compute its features for the gate."""
    active, at = line["cell"], line["position"]
    request = request_at(notebook, active, at)
    context = gather(request)
    surroundings = surroundings_of(request.prefix, request.suffix)
    watching = Watching(cursor_features(request.prefix, request.suffix, context.pieces))
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = ""
    for data, probability in line["tokens"]:
        piece = decoder.decode(data.encode("latin-1"))
        watching.add(piece, probability)
        text += piece
    if line["ended"]:
        watching.end()
    shown = trim(text, surroundings, final=True).text
    # The first boundary found by trimming represents the end of the remaining text.
    ends = [0, *(boundary.end for boundary in watching.boundaries)]
    count = sum(end < len(shown) for end in ends[:-1])
    del watching.boundaries[count:], watching.found[count:]
    future = notebook.cells[active].source[at:]
    return Position(
        line["notebook"],
        notebook.name.partition("__")[0],
        active,
        at,
        request.prefix,
        future,
        shown,
        watching,
        [is_right(shown[: b.end], future, request.prefix, further=b.line > 0) for b in watching.boundaries],
    )


def is_right(text: str, future: str, before: str, *, further: bool) -> bool:
    """Return whether a user would accept the text after `before`."""
    if not further:
        return judge(text, future, before).right == 1
    return future.startswith(text) and is_end_of_line(future, len(text))


FOLDS = 5  # of the cross-validation
ROUNDS = 40
BOOSTING = {
    "objective": "binary",
    "max_depth": 4,
    "num_leaves": 8,
    "learning_rate": 0.15,
    "min_data_in_leaf": 40,
    "lambda_l2": 5.0,
    "feature_fraction": 0.9,
    "seed": 1,
    "deterministic": True,
    "num_threads": 1,
    "verbose": -1,
}
MONOTONE = ("sum", "worst")  # a greater probability never lowers the score


def fit_trees(positions: Sequence[Position]) -> Trees:
    """Fit trees to all boundaries of the positions."""
    found = [values for position in positions for values in position.watching.found]
    names = list(found[0])
    rows = np.array([[values[name] for name in names] for values in found])
    right = np.array([right for position in positions for right in position.right], dtype=float)
    constraints = {"monotone_constraints": [int(name in MONOTONE) for name in names]}
    booster = lightgbm.train(BOOSTING | constraints, lightgbm.Dataset(rows, right), ROUNDS)
    return Trees(names, [tree_of(each["tree_structure"]) for each in booster.dump_model()["tree_info"]])


def tree_of(node: dict[str, Any]) -> Tree:
    """Convert a tree of LightGBM."""
    if "leaf_value" in node:
        return round(float(node["leaf_value"]), 4)
    low, high = (tree_of(node[side]) for side in ("left_child", "right_child"))
    return node["split_feature"], float(f"{node['threshold']:.5g}"), low, high


BLANK_WEIGHT = 3  # weight of positions on empty lines and in new cells, because there are few of them


def score(positions: Sequence[Position], trees: Trees) -> None:
    """Score all boundaries of the positions."""
    for position in positions:
        position.scores = [trees.score(values) for values in position.watching.found]


def cross_validate(positions: list[Position], blank_ones: list[Position]) -> None:
    """Score each position by trees that are fitted to other packages."""
    packages = sorted({position.package for position in (*positions, *blank_ones)})
    weighted = [*positions, *blank_ones * BLANK_WEIGHT]
    for part in range(FOLDS):
        held_out = {*packages[part::FOLDS]}
        trees = fit_trees([position for position in weighted if position.package not in held_out])
        score([position for position in (*positions, *blank_ones) if position.package in held_out], trees)


def play(positions: Sequence[Position], threshold: float) -> Tally:
    """Replay all cells with the gate at a threshold; accepted text is not typed."""
    total = Tally()
    for _, group in groupby(positions, key=lambda s: (s.notebook, s.cell)):
        counted = Score()
        last = None
        for position in group:
            last = position
            if position.place < counted.covered(position.cell):
                continue
            counted.show(
                position.cell, position.place, position.before, position.shown(threshold), position.future
            )
        if last:
            counted.typed(last.place + len(last.future), last.place + len(last.future))
        total = total + counted.total
    return total


AIMS = {"balanced": 0.70, "quiet": 0.82}  # precision on the fitted half
NEARLY_ALL = 0.99  # share of the maximum savings: beyond it, an eager gate shows too many wrong suggestions
TARGET = Path(__file__).resolve().parents[2] / "jupyter_turbopilot" / "suggestion" / "fits.json"


def fit(options: argparse.Namespace) -> None:
    """Fit trees and thresholds, print the precision and the keystrokes saved at each threshold, and write."""
    notebooks = read(options.set)
    positions = [
        look(line, notebooks[line["notebook"]]) for line in map(json.loads, options.places.open("rb"))
    ]
    lines = map(json.loads, options.blank.open("rb")) if options.blank else ()
    blank_ones = [look(line, above(notebooks[line["notebook"]], line["cell"])) for line in lines]
    print(f"{len(positions)} positions in {len({position.package for position in positions})} packages")
    for position in positions:
        position.scores = [float(right) for right in position.right]
    print(f"the best possible gate: saved {play(positions, 0.5).share_saved:.3f}")
    fitted: dict[str, Any] = {}
    if options.keep:
        score((*positions, *blank_ones), fit_for(options.model).trees)
    else:
        cross_validate(positions, blank_ones)
        fitted["trees"] = asdict(fit_trees([*positions, *blank_ones * BLANK_WEIGHT]))
    print("threshold: precision, saved, shown per 100 keystrokes")
    found = {step / 40: play(positions, step / 40) for step in range(1, 39)}
    for threshold, tally in found.items():
        print(f"{threshold:.3f}  {tally.precision:.3f} {tally.share_saved:.3f} {tally.per_hundred:.1f}")
    enough = NEARLY_ALL * max(tally.share_saved for tally in found.values())
    thresholds = {"always": 0.0, "eager": max(t for t, tally in found.items() if tally.share_saved >= enough)}
    for name in AIMS:
        aim = getattr(options, name)
        thresholds[name] = next((t for t, tally in found.items() if tally.precision >= aim), max(found))
    print(thresholds)
    new_cells = [position for position in blank_ones if not position.before.strip()]
    empty_lines = [position for position in blank_ones if position.before.strip()]
    for name in ("eager", *AIMS):
        for kind, some in (("empty lines", empty_lines), ("new cells", new_cells)):
            texts = [(position.shown(thresholds[name]), position.future) for position in some]
            right = [judge(text, future).right for text, future in texts if text]
            print(f"{name}, {len(some)} {kind}: {len(right)} shown, {sum(right)} right")
    if options.write:
        write(options.model, fitted | {"thresholds": thresholds})


def write(model: str, fitted: dict[str, Any]) -> None:
    """Write the file of fits with one entry changed, one tree in each line."""
    table = FITS | {model: FITS.get(model, {}) | fitted}
    for name, parts in table.items():
        if "trees" in parts:
            trees = [json.dumps(tree) for tree in parts["trees"]["trees"]]
            table[name] = parts | {"trees": parts["trees"] | {"trees": trees}}
    text = json.dumps(table, indent=2)
    TARGET.write_text(re.sub(r'"(\[.*\])"', r"\1", text) + "\n", "utf-8")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    gather = commands.add_parser("collect")
    gather.add_argument("--set", type=Path, required=True)
    gather.add_argument("--out", type=Path, required=True)
    gather.add_argument("--tokens", type=int, default=48, help="maximum length in tokens")
    gather.add_argument("--half", choices=["all", "fitted", "held-out"], default="all")
    gather.add_argument("--cells", type=int, default=0, help="number of cells; 0: all")
    gather.add_argument(
        "--adapters", nargs="*", help="instead of the configured ones; nothing after it: none"
    )
    gather.add_argument("-m", "--model", help="default: the configured one")
    gather.add_argument("--engine", help="default: the configured one")
    gather.add_argument(
        "--blank", type=int, default=0, help="instead of cells: empty lines and new cells of each notebook"
    )
    gather.set_defaults(run=collect)
    fitting = commands.add_parser("fit")
    fitting.add_argument("--set", type=Path, required=True)
    fitting.add_argument("places", type=Path)
    fitting.add_argument("--blank", type=Path, help="positions on empty lines and in new cells")
    fitting.add_argument("-m", "--model", default=DEFAULT, help="the model of the completions (%(default)s)")
    for name, aim in AIMS.items():
        fitting.add_argument(f"--{name}", type=float, default=aim, help="target precision (%(default)s)")
    fitting.add_argument("--keep", action="store_true", help="keep the current trees")
    fitting.add_argument("--write", action="store_true", help="write the fit into the package")
    fitting.set_defaults(run=fit)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
