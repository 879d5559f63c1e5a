"""Fill-in-the-middle templates that a client wrote into its prompt, taken apart again. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jupyter_turbopilot.prompt.formats import FORMATS

REPOSITORY, FILE = "repository", "file"
MOST_FILES = 256
_PREFIX, _SUFFIX, _MIDDLE = "prefix", "suffix", "middle"
# Behind what names a repository and files: the text before the cursor first, or the text behind it.
_PREFIX_FIRST, _SUFFIX_FIRST, _NO_MIDDLE = (
    [_PREFIX, _SUFFIX, _MIDDLE],
    [_SUFFIX, _PREFIX, _MIDDLE],
    [_SUFFIX, _PREFIX],
)


@dataclass(frozen=True)
class Hole:
    """What a template asks for."""

    before: str
    after: str
    context: tuple[tuple[str, str], ...] = ()  # what names a repository or a file, and the text behind it


class _Family:
    """The marks of one family, as its templates spell them."""

    def __init__(self, prefix: str, suffix: str, middle: str, **context: str) -> None:
        """Take the marks; `context` names what stands before them, several spellings apart by spaces."""
        self._middle = bool(middle)
        spellings = {prefix: _PREFIX, suffix: _SUFFIX} | ({middle: _MIDDLE} if middle else {})
        for kind, names in context.items():
            spellings |= dict.fromkeys(names.split(), kind)
        self._kinds = {text.strip(): kind for text, kind in spellings.items()}
        self._starts = tuple({*spellings, *self._kinds})
        # A space that is written with a mark belongs to it, if it is there. One before it is looked at when
        # the mark is found: an expression that begins with it would be tried at every space.
        self._spaced = {text.strip() for text in spellings if text.startswith(" ")}
        patterns = (re.escape(text.strip()) + " ?" * text.endswith(" ") for text in spellings)
        self._marks = re.compile("|".join(patterns))

    def read(self, prompt: str) -> Hole | None:
        """Take a prompt apart that is this family's template from its beginning to its end."""
        if not prompt.startswith(self._starts):
            return None
        kinds: list[str] = []
        texts: list[str] = []
        at = 0
        for mark in self._marks.finditer(prompt):
            text = mark[0].strip()
            kind, end = self._kinds[text], mark.start()
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
        """Say what the marks in their order mean; nothing where it is not a template's order."""
        if order == _NO_MIDDLE and not self._middle:
            return Hole(texts[1], texts[0], context)
        if order == _PREFIX_FIRST and not (texts[0] and texts[2]):
            # Where nothing stands behind its mark the text before the cursor may stand at the end.
            return Hole(texts[0] or texts[2], texts[1], context)
        if order == _SUFFIX_FIRST and not texts[2]:
            return Hole(texts[1], texts[0], context)
        return None


_CONTEXT = {
    "qwen": {REPOSITORY: "<|repo_name|>", FILE: "<|file_sep|> <|file_separator|>"},
    "starcoder": {REPOSITORY: "<repo_name> <reponame>", FILE: "<file_sep> <filename>"},
}
_FAMILIES = (
    *(_Family(known.prefix, known.suffix, known.middle, **_CONTEXT.get(known.name, {})) for known in FORMATS),
    _Family("<PRE> ", " <SUF>", " <MID> "),
    # Continue has sent deepseek's marks with plain bars.
    _Family("<|fim▁begin|>", "<|fim▁hole|>", "<|fim▁end|>"),
    _Family("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),
    _Family("<|prefix|>", "<|suffix|>", "<|middle|>"),
    _Family("<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>"),
)


def taken_apart(prompt: str) -> Hole | None:
    """Return the hole that a prompt describes; None where it is text, whatever marks are in it."""
    return next((hole for family in _FAMILIES if (hole := family.read(prompt))), None)
