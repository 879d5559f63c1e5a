"""Repeated edits and typing in finished cells, with the changes between two versions of real notebooks.

python research/benchmarks/versions.py SET [--part held-out] [--log FILE]   two alike changes, then others
python research/benchmarks/versions.py SET --typing 4 [--log FILE]          type changes for minutes

SET is a file of `gather.py --versions`. A change is a run of lexemes that differ, joined with the next one if
no word is between them, or if the cell does not parse with it alone; other quotes and line breaks are none.
Changes are alike if the old and the new text are equal, except for words that both have. The first two of at
least three changes of a notebook are made in the order of the text. An offer is right if the cell becomes
what another of these changes gives, or is nearer to the new version; offers in deleted cells do not count.

Typing sends a request at every character of a change, after the old text has been deleted and the cell has
got the focus, which evaluates the prompt. A reversal is a suggestion that restores the first line of the old
text. Every second package is held out and not used in development.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import json
import random
import re
import time
from collections import defaultdict
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edits import LEXEME, Made, Result, dumped, edited, measured, parsed_cell, table
from harness import percentile, settings_of

from jupyter_turbopilot.context.kernel_context import NONE
from jupyter_turbopilot.context.languages import cell_language
from jupyter_turbopilot.terminal.in_process import InProcess
from turbopilot_research.evaluate.command import PATIENT
from turbopilot_research.evaluate.replay import TypingResult, replay_trace
from turbopilot_research.evaluate.scoring import judge
from turbopilot_research.evaluate.sources import OwnSource
from turbopilot_research.evaluate.traces import LONGEST_CELL, Keystroke, Trace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.context.kernel_context import KernelContext
    from jupyter_turbopilot.protocol.reply import Reply
    from jupyter_turbopilot.protocol.request import Completion

FEWEST, MOST_CHANGES = 3, 10  # alike changes of a group, typed changes of a notebook


@dataclass(frozen=True)
class Change:
    """A change of an author: a span of the old source, and one of the new source."""

    start: int
    end: int
    new_start: int
    new_end: int
    old: str
    new: str

    def joined(self, other: Change, before: str, after: str) -> Change:
        """Return a change that reaches to the end of a later one."""
        old, new = before[self.start : other.end], after[self.new_start : other.new_end]
        return Change(self.start, other.end, self.new_start, other.new_end, old, new)

    @property
    def key(self) -> tuple[str, ...]:
        """What alike changes have in common."""
        old, new = (re.findall(r"\w+", each) for each in (self.old, self.new))
        common = [word for word in dict.fromkeys(old) if word in new]
        numbers = {word: f"<{number}>" for number, word in enumerate(common)}
        texts = (
            re.sub(r"\w+", lambda word: numbers.get(word[0], word[0]), each) for each in (self.old, self.new)
        )
        return tuple(re.sub(r"\s+", " ", each).strip() for each in texts)

    @property
    def kind(self) -> str:
        """The kind of a change."""
        if not (self.old and self.new):
            return "added" if self.new else "removed"
        return "name" if f"{self.old}{self.new}".isidentifier() else "other text"


def changes(before: str, after: str) -> Iterator[Change]:
    """Yield the changes of a cell in the order of the text, without those of comments and white space."""
    old, new = ([*LEXEME.finditer(each)] for each in (before, after))
    texts = [[each[0].replace("'", '"') for each in lexemes] for lexemes in (old, new)]
    found: list[Change] = []
    for tag, a, b, c, d in SequenceMatcher(None, *texts, autojunk=False).get_opcodes():
        if tag != "equal":
            # An insertion or a deletion includes the white space before it.
            is_whole = b > a and d > c
            start, new_start = (
                each[at].start() if is_whole else each[at - 1].end() if at else 0
                for each, at in ((old, a), (new, c))
            )
            end = old[b - 1].end() if b > a else start
            new_end = new[d - 1].end() if d > c else new_start
            found.append(Change(start, end, new_start, new_end, before[start:end], after[new_start:new_end]))
    can_parse = dumped(before) if dumped(after) else ""
    while found:
        change = found.pop(0)
        while found and (
            not re.search(r"\w", before[change.end : found[0].start])
            or (can_parse and not dumped(edited(before, change.start, change.end, change.new)))
        ):
            change = change.joined(found.pop(0), before, after)
        is_format = can_parse and dumped(edited(before, change.start, change.end, change.new)) == can_parse
        if not is_format and re.search(r"\w", re.sub(r"#.*", "", f"{change.old}\n{change.new}")):
            yield change


def statements(source: str) -> list[str]:
    """Return the classes of the statements; none for source that does not parse."""
    try:
        nodes = ast.walk(parsed_cell(source))
    except SyntaxError:
        return []
    return [type(each).__name__ for each in nodes if isinstance(each, ast.stmt)]


def made(cells: Sequence[Sequence[Any]]) -> Iterator[Made]:
    """Yield the edits that an author made at least three times alike."""
    groups = defaultdict[tuple[str, ...], list[Any]](list)
    for number, (kind, before, after) in enumerate(cells):
        if kind == "code" and after not in {None, before} and dumped(before) and dumped(after):
            for each in changes(before, after):
                text = edited(before, each.start, each.end, each.new)
                is_statement = statements(text) != statements(before)
                kind_of = "whole statements" if is_statement else each.kind
                groups[each.key].append((kind_of, ((number, each.start, each.end), each.new)))
    sources = [before if kind == "code" else "" for kind, before, _ in cells]
    for group in groups.values():
        if len(group) >= FEWEST:
            after = {n: new for n, (kind, _, new) in enumerate(cells) if kind == "code"}
            yield Made(group[0][0], sources, [each for _, each in group], after=after)


class Recorder(OwnSource):
    """The engine in this process, and what it returned."""

    def __init__(self, local: InProcess) -> None:
        super().__init__(local)
        self.replies: list[tuple[Keystroke, Reply]] = []
        self.trace: Iterator[Keystroke] = iter(())

    def last(self, request: Completion, kernel_context: KernelContext = NONE) -> Reply:
        """Return the reply, and record it."""
        reply = super().last(request, kernel_context)
        at = next(each for each in self.trace if each.request().prefix == request.prefix)
        self.replies.append((at, reply))
        return reply


def traces(notebook: Any) -> Iterator[tuple[Change, Trace]]:
    """Yield the changes of a notebook as they are typed: cells below and text after the cursor are old."""
    types = tuple(kind for kind, _, _ in notebook["cells"])
    cells = [before for _, before, _ in notebook["cells"]]
    for number, (kind, before, after) in enumerate(notebook["cells"]):
        is_code = kind == "code" and cell_language(before, "python") == "python"
        for change in changes(before, after) if is_code and after not in {None, before} else ():
            steps = []
            for length in range(min(len(change.new), LONGEST_CELL)):
                head = after[: change.new_start + length]
                now = (*cells[:number], head + before[change.end :], *cells[number + 1 :])
                future = change.new[length:]
                steps.append(Keystroke(now, types, number, len(head), future, length))
            if steps:
                yield change, Trace("edit", notebook["name"], tuple(steps))
        cells[number] = before if after is None else after


def type_changes(notebooks: Sequence[Any], minutes: int, log: Path | None) -> None:
    """Type changes at random, and print the results."""
    shuffled = random.Random(1).sample(notebooks, len(notebooks))  # noqa: S311
    made = [each for notebook in shuffled for each in islice(traces(notebook), MOST_CHANGES)]
    settings = settings_of(None)
    settings.deadline = PATIENT
    local, typed, entries = InProcess(settings), TypingResult(), []
    source = Recorder(local)
    try:
        local.wait()
        count, end = 0, time.monotonic() + 60 * minutes
        for change, trace in made:
            if time.monotonic() > end:
                break
            count += 1
            local.last(trace.keystrokes[0].request(trigger="warmup", client="typist"))
            source.trace, begin = iter(trace.keystrokes), len(source.replies)
            replay_trace(source, trace, typed)
            shown = {change.new[: at.place] + text(reply): (at, reply)
                     for at, reply in reversed(source.replies[begin:]) if text(reply)}  # fmt: skip
            for whole, (at, reply) in shown.items():
                entries.append({
                    "old": change.old, "new": change.new, "typed": change.new[: at.place],
                    "shown": text(reply),
                    "right": judge(text(reply), at.future).right, "reversal": is_reversal(change, whole),
                    "line": at.request().prefix.rpartition("\n")[2], "rest": at.suffix.partition("\n")[0],
                })  # fmt: skip
    finally:
        local.close()
    if log:
        log.write_text("\n".join(map(json.dumps, entries)))
    total, asked = typed.total, [reply.timings for _, reply in source.replies]
    evaluated = sum(each.prompt_tokens - each.cached_tokens for each in asked) / len(asked)
    predicted = sum(each.predicted_tokens for each in asked) / len(asked)
    reversals = sum(each["reversal"] for each in entries)
    replaced = sum(bool(each["old"].strip()) for each in entries)
    print(
        f"{count} changes, {total.typed} characters, {len(asked)} requests: saved {total.share_saved:.3f}, "
        f"net saved {total.net():.3f}, precision {total.precision:.3f} ({total.right} of {total.shown}), "
        f"tokens evaluated {evaluated:.1f} and predicted {predicted:.1f} per request, reversals {reversals} "
        f"of {len(entries)} suggestions, {replaced} of them after deleted text, "
        f"p50 {percentile(typed.ms, 0.5):.0f} ms, invalid {typed.invalid}"
    )


def text(reply: Reply) -> str:
    """Return the shown text."""
    return reply.items[0].text if reply.items else ""


def is_reversal(change: Change, whole: str) -> bool:
    """Return whether the typed and the suggested text restore a line that was deleted."""
    first, old, new = (each.strip().partition("\n")[0] for each in (whole, change.old, change.new))
    return bool(re.search(r"\w", old)) and first.startswith(old) and not new.startswith(old)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("set", type=Path)
    parser.add_argument("--part", choices=("development", "held-out", "all"), default="development")
    parser.add_argument("--typing", type=int, default=0, metavar="MINUTES", help="type the changes")
    parser.add_argument("--log", type=Path)
    options = parser.parse_args()
    notebooks = json.loads(gzip.decompress(options.set.read_bytes()))
    packages = sorted({each["name"].partition("__")[0] for each in notebooks})
    chosen = {"development": packages[::2], "held-out": packages[1::2], "all": packages}[options.part]
    notebooks = [each for each in notebooks if each["name"].partition("__")[0] in chosen]
    if options.typing:
        type_changes(notebooks, options.typing, options.log)
        return
    results: list[Result] = []
    for each in notebooks:
        results += [measured(case, each["name"], (0, 1)) for case in made(each["cells"])]
    print("\n".join(table(results)))
    if options.log:
        options.log.write_text("\n".join(json.dumps(each.__dict__) for each in results))


if __name__ == "__main__":
    main()
