"""Samples of one cell share what stands before their cursors: it is read once and they branch off. Pure.

The product reads a notebook once and pays for what a key adds; so does training. A cell's samples become a
tree of tokens, in which a token sees those it descends from and no others. What would be some thirty
sequences of a thousand tokens is one of little more than that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Ids = NDArray[np.int64]
_ROOT = -1


@dataclass(frozen=True)
class Sample:
    """What the model reads, and what it should answer; the last token may say that the answer ends."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    text: int = 0  # so many tokens of the prompt are text to learn from as well


@dataclass
class Tree:
    """Tokens, each behind its parent; what should follow which of them, and how much that counts."""

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    # A node, and the token of an answer that should follow.
    answers: list[tuple[int, int]] = field(default_factory=list)
    texts: list[tuple[int, int]] = field(default_factory=list)  # the same of the text before the cursor
    samples: int = 0
    _known: dict[tuple[int, int], int] = field(default_factory=dict)

    def _grow(self, tokens: Iterable[int]) -> list[int]:
        """Walk down from the root along tokens, growing where there is nothing yet; return the nodes."""
        at, path = _ROOT, []
        for token in tokens:
            place = (at, token)
            if place not in self._known:
                self._known[place] = len(self.tokens)
                self.tokens.append(token)
                self.parents.append(at)
                self.depths.append(self.depths[at] + 1 if at != _ROOT else 0)
            at = self._known[place]
            path.append(at)
        return path

    def more(self, sample: Sample) -> int:
        """Return how many tokens a sample would add."""
        at = _ROOT
        whole = [*sample.prompt, *sample.answer[:-1]]
        for done, token in enumerate(whole):
            if (at, token) not in self._known:
                return len(whole) - done
            at = self._known[at, token]
        return 0

    def add(self, sample: Sample) -> None:
        """Take a sample in."""
        before = len(self.tokens)
        path = self._grow([*sample.prompt, *sample.answer[:-1]])
        text = zip(path[: sample.text], sample.prompt[1 : sample.text], strict=False)
        self.texts += (pair for pair in text if pair[0] >= before)
        self.answers += zip(path[len(sample.prompt) - 1 :], sample.answer, strict=True)
        self.samples += 1

    def mask(self, more: int = 0) -> NDArray[np.bool_]:
        """Return which token sees which; `more` see but themselves."""
        sees = np.eye(len(self.tokens) + more, dtype=np.bool_)
        for node, parent in enumerate(self.parents):
            if parent != _ROOT:
                sees[node] |= sees[parent]
        return sees


def grow(samples: Sequence[Sample], most: int) -> Tree:
    """Put samples into a tree of at most so many tokens; what does not fit is left out."""
    tree = Tree()
    for sample in samples:
        if sample.prompt and sample.answer and len(tree.tokens) + tree.more(sample) <= most:
            tree.add(sample)
    return tree


def arrays(tree: Tree, step: int = 1) -> dict[str, Any]:
    """Return the tree as a network wants it, filled up to a multiple of a step."""
    nodes, targets = zip(*tree.answers, strict=True)
    more = -len(tree.tokens) % step
    return {
        "tokens": np.array([*tree.tokens, *[0] * more], np.int64),
        "places": np.array([*tree.depths, *[0] * more], np.int64),
        "sees": tree.mask(more),
        "nodes": np.array([*nodes, *(node for node, _ in tree.texts)], np.int64),
        "targets": np.array([*targets, *(target for _, target in tree.texts)], np.int64),
        "answers": len(nodes),
    }
