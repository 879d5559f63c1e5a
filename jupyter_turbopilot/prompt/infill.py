"""Prompts supplied by clients: parses templates, and lays out the texts of raw requests. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.prompt.formats import (
    FORMATS,
    WIDEST,
    Prompt,
    keep_tail,
    lay_out,
    pieces_left_out,
    read_head,
)
from jupyter_turbopilot.protocol.errors import BadRequestError, ContextLengthError

if TYPE_CHECKING:
    from jupyter_turbopilot.prompt.formats import BoundFormat, Tokenize
    from jupyter_turbopilot.protocol.engine_request import RawRequest

REPOSITORY, FILE = "repository", "file"
MOST_FILES = 256
INFILL_WINDOW = 2048  # tokens around the cursor
ANSWER_SHARE = 8  # one eighth of the context is always reserved for the answer
_SNIPPET = "\n\n--- snippet ---\n\n"
_PREFIX, _SUFFIX, _MIDDLE = "prefix", "suffix", "middle"
# The orders of the parts after the repository and files.
_PREFIX_FIRST, _SUFFIX_FIRST, _NO_MIDDLE = (
    [_PREFIX, _SUFFIX, _MIDDLE],
    [_SUFFIX, _PREFIX, _MIDDLE],
    [_SUFFIX, _PREFIX],
)


@dataclass(frozen=True)
class FimTexts:
    """The texts of a template."""

    before: str
    after: str
    context: tuple[tuple[str, str], ...] = ()  # kind of each part above, and its text


class _Family:
    """The markers of a family of models in the spelling of its templates."""

    def __init__(self, prefix: str, suffix: str, middle: str, **context: str) -> None:
        """Compile the markers; `context` has those of repositories and files, separated by spaces."""
        self._middle = bool(middle)
        spellings = {prefix: _PREFIX, suffix: _SUFFIX} | ({middle: _MIDDLE} if middle else {})
        for kind, names in context.items():
            spellings |= dict.fromkeys(names.split(), kind)
        self.kinds = {text.strip(): kind for text, kind in spellings.items()}
        self._starts = tuple({*spellings, *self.kinds})
        # A space in a marker's spelling is optional. One at its start is checked when the marker is found: a
        # pattern that starts with it would be tried at every space.
        self._spaced = {text.strip() for text in spellings if text.startswith(" ")}
        patterns = (re.escape(text.strip()) + " ?" * text.endswith(" ") for text in spellings)
        self._marks = re.compile("|".join(patterns))

    def read(self, prompt: str) -> FimTexts | None:
        """Return the texts of a prompt if it is a template of this family."""
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
        return self._arranged(tuple(zip(kinds[:hole], texts[:hole], strict=True)), kinds[hole:], texts[hole:])

    def _arranged(
        self, context: tuple[tuple[str, str], ...], order: list[str], texts: list[str]
    ) -> FimTexts | None:
        """Return the texts in the order of their markers; None if the order matches no template."""
        if order == _NO_MIDDLE and not self._middle:
            return FimTexts(texts[1], texts[0], context)
        if order == _PREFIX_FIRST and not (texts[0] and texts[2]):
            # The prefix may be at the end instead of after its marker.
            return FimTexts(texts[0] or texts[2], texts[1], context)
        if order == _SUFFIX_FIRST and not texts[2]:
            return FimTexts(texts[1], texts[0], context)
        return None


_CONTEXT = {
    "qwen": {REPOSITORY: "<|repo_name|>", FILE: "<|file_sep|> <|file_separator|>"},
    "starcoder": {REPOSITORY: "<repo_name> <reponame>", FILE: "<file_sep> <filename>"},
}
_FAMILIES = (
    *(
        _Family(known.prefix, known.suffix, known.middle, **_CONTEXT.get(known.name, {}))
        for known in FORMATS
        if known.prefix != known.suffix  # such a template is ambiguous
    ),
    _Family("<PRE> ", " <SUF>", " <MID> "),
    # Continue has sent DeepSeek's markers with plain bars.
    _Family("<|fim▁begin|>", "<|fim▁hole|>", "<|fim▁end|>"),
    _Family("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),
    _Family("<|prefix|>", "<|suffix|>", "<|middle|>"),
    _Family("<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>"),
)

# In all spellings.
MARKERS = frozenset[str]().union(
    *(family.kinds for family in _FAMILIES),
    (text for known in FORMATS for text in (known.prefix, known.suffix, known.middle) if text),
)


def taken_apart(prompt: str) -> FimTexts | None:
    """Return the texts of a prompt if it is a template; None otherwise."""
    return next((hole for family in _FAMILIES if (hole := family.read(prompt))), None)


def build_infill(
    form: BoundFormat,
    tokenize: Tokenize,
    fresh: Tokenize,
    request: RawRequest,
    context_size: int,
    length: int,
) -> Prompt:
    """Build the prompt of `/infill` as llama.cpp's server does.

    Other files come first, with the markers for repository and files; then at most a window of text, three
    quarters of it before the cursor. `fresh` tokenizes, uncached, the text that changes with each keystroke.
    """
    window = min(INFILL_WINDOW, context_size // 2)
    near, after = 3 * (window // 4), window // 4
    typed = keep_tail(fresh(keep_tail(request.typed, WIDEST * near)), near)
    # Truncate in steps, unlike llama.cpp's server: otherwise each token would invalidate the cache.
    prefix = keep_tail(fresh(keep_tail(str(request.prompt), WIDEST * near)), near - len(typed)) + typed
    suffix = read_head(tokenize, request.suffix or "", after - 2 - len(typed))
    others: list[int] = []
    if form.repository is not None:
        others += [form.repository, *tokenize("myproject\n")]
    files = [(name, keep_tail(text, WIDEST * window)) for name, text in request.others]
    for name, text in files[pieces_left_out([len(text) for _, text in files], 0, WIDEST * context_size) :]:
        named = [form.file, *tokenize(f"{name}\n")] if form.file is not None else tokenize(_SNIPPET)
        others += [*named, *tokenize(text)]
    if form.file is not None:
        others += [form.file, *tokenize("filename\n")]
    # A prefetch request has no length: the files that fit must not depend on it.
    answer = max(length, context_size // ANSWER_SHARE)
    tokens = keep_tail(others, max(0, context_size - answer - window - len(form.order) - 1))
    if form.bos is not None:
        tokens = [*tokens, form.bos]
    return lay_out(form, tokens, {"PREFIX": prefix, "SUFFIX": suffix})


def build_text(form: BoundFormat, tokenize: Tokenize, request: RawRequest, context_size: int) -> Prompt:
    """Build the prompt of a raw text request; a text that is too long is truncated or rejected."""
    parts = request.prompt if isinstance(request.prompt, tuple) else (request.prompt,)
    texts = [text for text in (*parts, request.suffix, *(text for _, text in request.context)) if text]
    size, most = sum(len(text) for text in texts if isinstance(text, str)), WIDEST * context_size
    if size > most and not request.cut:
        raise ContextLengthError(context_size, size // WIDEST, request.sampling.max_tokens)
    before = [
        token
        for part in parts
        for token in (tokenize(keep_tail(part, most)) if isinstance(part, str) else (part,))
    ]
    bos = [form.bos] if form.bos is not None and isinstance((*parts, 0)[0], str) else []
    if not (before or bos or request.suffix):
        before = tokenize("\n")  # a model needs at least one token
    after = read_head(tokenize, request.suffix, context_size) if request.suffix is not None else []
    above = [
        token
        for kind, text in request.context
        for token in _named(form, tokenize, kind, keep_tail(text, most))
    ]
    if request.suffix is not None and not form.markers:
        raise BadRequestError(
            "This model does not support fill-in-the-middle. Omit `suffix`.", field="suffix"
        )
    marks = len(bos) + (len(form.markers) if request.suffix is not None else 0)
    needed, length = marks + len(above) + len(before) + len(after), request.sampling.max_tokens
    cut = request.cut and (needed >= context_size or size > most)
    if cut:
        # Truncate only a prompt that does not fit by itself; otherwise the answer ends with the context.
        room = context_size - marks - max(1, min(length, context_size // ANSWER_SHARE))
        after = after[: max(0, room) // 4]
        before = keep_tail(before, max(1, room - len(after)))
        above = keep_tail(above, room - len(after) - len(before))
    elif needed + length > context_size and not request.cut:
        raise ContextLengthError(context_size, needed, length)
    if request.suffix is None:
        return Prompt([*bos, *before], cut=cut)
    return replace(lay_out(form, [*bos, *above], {"PREFIX": before, "SUFFIX": after}), cut=cut)


def _named(form: BoundFormat, tokenize: Tokenize, kind: str, text: str) -> list[int]:
    """Return a file's content or the repository's name after the model's marker for it."""
    mark = form.repository if kind == "repository" else form.file
    if mark is not None:
        return [mark, *tokenize(text)]
    return [*tokenize(_SNIPPET), *tokenize(text)] if kind == "file" and text else []
