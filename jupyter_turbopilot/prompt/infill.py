"""Recognize fill-in-the-middle templates in a client's prompt, and take them apart. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jupyter_turbopilot.prompt.formats import FORMATS

REPOSITORY, FILE = "repository", "file"
MOST_FILES = 256
_PREFIX, _SUFFIX, _MIDDLE = "prefix", "suffix", "middle"
# The orders of the parts, after the repository and files.
_PREFIX_FIRST, _SUFFIX_FIRST, _NO_MIDDLE = (
    [_PREFIX, _SUFFIX, _MIDDLE],
    [_SUFFIX, _PREFIX, _MIDDLE],
    [_SUFFIX, _PREFIX],
)


@dataclass(frozen=True)
class Hole:
    """The texts of a template."""

    before: str
    after: str
    context: tuple[tuple[str, str], ...] = ()  # kind of each part above, and its text


class _Family:
    """The markers of one family of models, as its templates spell them."""

    def __init__(self, prefix: str, suffix: str, middle: str, **context: str) -> None:
        """Take the markers; `context` has those of repositories and files, spellings separated by spaces."""
        self._middle = bool(middle)
        spellings = {prefix: _PREFIX, suffix: _SUFFIX} | ({middle: _MIDDLE} if middle else {})
        for kind, names in context.items():
            spellings |= dict.fromkeys(names.split(), kind)
        self.kinds = {text.strip(): kind for text, kind in spellings.items()}
        self._starts = tuple({*spellings, *self.kinds})
        # A space in a marker's spelling is optional. One at its start is checked when the marker is found: a
        # pattern that began with it would be tried at every space.
        self._spaced = {text.strip() for text in spellings if text.startswith(" ")}
        patterns = (re.escape(text.strip()) + " ?" * text.endswith(" ") for text in spellings)
        self._marks = re.compile("|".join(patterns))

    def read(self, prompt: str) -> Hole | None:
        """Return the texts of a prompt if the whole of it is a template of this family."""
        if not prompt.startswith(self._starts):
            return None
        kinds: list[str] = []
        texts: list[str] = []
        at = 0
        for mark in self._marks.finditer(prompt):
            text = mark[0].strip()
            kind, end = self.kinds[text], mark.start()
            if len(kinds) > MOST_FILES or (kind in kinds and kind != FILE):
                return None
            spaced = text in self._spaced and prompt[at:end].endswith(" ")
            texts.append(prompt[at : end - spaced])
            kinds.append(kind)
            at = mark.end()
        texts.append(prompt[at:])
        hole = next((at for at, kind in enumerate(kinds) if kind not in {REPOSITORY, FILE}), len(kinds))
        if texts.pop(0) or REPOSITORY in kinds[1:]:
            return None
        return self._hole(tuple(zip(kinds[:hole], texts[:hole], strict=True)), kinds[hole:], texts[hole:])

    def _hole(self, context: tuple[tuple[str, str], ...], order: list[str], texts: list[str]) -> Hole | None:
        """Return the texts by the order of their markers; None if it is not the order of a template."""
        if order == _NO_MIDDLE and not self._middle:
            return Hole(texts[1], texts[0], context)
        if order == _PREFIX_FIRST and not (texts[0] and texts[2]):
            # The prefix may stand at the end instead of behind its marker.
            return Hole(texts[0] or texts[2], texts[1], context)
        if order == _SUFFIX_FIRST and not texts[2]:
            return Hole(texts[1], texts[0], context)
        return None


_CONTEXT = {
    "qwen": {REPOSITORY: "<|repo_name|>", FILE: "<|file_sep|> <|file_separator|>"},
    "starcoder": {REPOSITORY: "<repo_name> <reponame>", FILE: "<file_sep> <filename>"},
}
_FAMILIES = (
    *(
        _Family(known.prefix, known.suffix, known.middle, **_CONTEXT.get(known.name, {}))
        for known in FORMATS
        if known.prefix != known.suffix  # nobody could tell the parts of such a template apart
    ),
    _Family("<PRE> ", " <SUF>", " <MID> "),
    # Continue has sent DeepSeek's markers with plain bars.
    _Family("<|fim▁begin|>", "<|fim▁hole|>", "<|fim▁end|>"),
    _Family("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),
    _Family("<|prefix|>", "<|suffix|>", "<|middle|>"),
    _Family("<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>"),
)

# As anybody spells them.
MARKERS = frozenset[str]().union(
    *(family.kinds for family in _FAMILIES),
    (text for known in FORMATS for text in (known.prefix, known.suffix, known.middle) if text),
)


def taken_apart(prompt: str) -> Hole | None:
    """Return the texts of a prompt if the whole of it is a template; None otherwise."""
    return next((hole for family in _FAMILIES if (hole := family.read(prompt))), None)
