"""Prompt formats of model families: context, prefix and suffix as token ids within a budget.

Texts are truncated in steps, so that the beginning of a prompt seldom changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from jupyter_turbopilot.protocol.engine_request import Markers

REEVALUATED = 9  # tokens from the suffix marker on that are evaluated again at each keystroke
NEAR = 16  # tokens before the cursor that are evaluated again after an edit above
WIDEST = 64  # characters: no token is longer. Text beyond that cannot fit, so it is not tokenized
Tail = TypeVar("Tail", list[int], str)
Tokenize = Callable[[str], list[int]]


@dataclass(frozen=True)
class FimFormat:
    """The fill-in-the-middle format of a family of models.

    `order` lists the markers (lower case) and texts (upper case) of a prompt; `prefix`, `suffix` and `middle`
    are the markers in the vocabulary's spelling.
    """

    name: str
    prefix: str
    suffix: str
    middle: str
    order: tuple[str, ...] = ("prefix", "PREFIX", "suffix", "SUFFIX", "middle")
    extra: tuple[str, ...] = ()  # markers before the name of a repository and of a file


_SUFFIX_FIRST = ("suffix", "SUFFIX", "prefix", "PREFIX")

FORMATS: tuple[FimFormat, ...] = (
    FimFormat(
        "qwen", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", extra=("<|repo_name|>", "<|file_sep|>")
    ),
    FimFormat(
        "starcoder", "<fim_prefix>", "<fim_suffix>", "<fim_middle>", extra=("<repo_name>", "<file_sep>")
    ),
    FimFormat("santacoder", "<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    FimFormat("codellama", "▁<PRE>", "▁<SUF>", "▁<MID>"),
    FimFormat("deepseek", "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # noqa: RUF001 - the vocabulary's own
    # Its first mask marks the gap, and again the start of the infill.
    FimFormat(
        "incoder",
        "<|mask:0|>",
        "<|mask:0|>",
        "<|mask:1|>",
        ("PREFIX", "suffix", "SUFFIX", "middle", "prefix"),
    ),
    FimFormat("codestral", "[PREFIX]", "[SUFFIX]", "", _SUFFIX_FIRST),
)


@dataclass(frozen=True)
class BoundFormat:
    """A format with a model's token ids; `markers` is empty without fill-in-the-middle support."""

    name: str
    order: tuple[str, ...] = ("PREFIX",)
    markers: dict[str, int] = field(default_factory=dict)
    bos: int | None = None
    repository: int | None = None
    file: int | None = None

    @property
    def joined(self) -> BoundFormat:
        """This format with the current cell after the middle marker, continued by the answer.

        Typing then appends to the prompt: while the suffix is unchanged, nothing is evaluated again or moved.
        """
        if self.order[-1] != "middle":
            return self
        order = ("CONTEXT" if part == "PREFIX" else part for part in self.order)
        return replace(self, order=(*order, "NEAR"))


def form_for(
    find_token: Callable[[str], int | None], detected: Markers, preferred: str = "auto"
) -> BoundFormat:
    """Return the format: the preferred one, or by the vocabulary, or as detected by llama.cpp, or none."""
    if preferred == "none":
        return BoundFormat("none", bos=detected.bos)
    for known in sorted(FORMATS, key=lambda f: f.name != preferred):
        texts = {"prefix": known.prefix, "suffix": known.suffix, "middle": known.middle}
        ids = {part: find_token(text) for part, text in texts.items() if text}
        if all(token is not None for token in ids.values()):
            markers = {part: token for part, token in ids.items() if token is not None}
            extra = [find_token(text) for text in known.extra] or [None, None]
            return BoundFormat(known.name, known.order, markers, detected.bos, *extra)
    if detected.prefix is not None and detected.suffix is not None and detected.middle is not None:
        markers = {"prefix": detected.prefix, "suffix": detected.suffix, "middle": detected.middle}
        return BoundFormat("detected", FORMATS[0].order, markers, detected.bos)
    return BoundFormat("none", bos=detected.bos)


@dataclass(frozen=True)
class Prompt:
    """The token ids of a prompt, and the prefix constraint if a token was dropped."""

    tokens: list[int]
    forced: bytes = b""
    suffix_span: tuple[int, int] = (0, 0)  # position of a suffix after the prefix
    context_end: int = 0  # tokens before this position may be moved after an edit
    tail: int = 0  # tokens after the prefix: evaluated again at each keystroke
    cut: bool = False  # whether text had to be left out
    is_truncated: bool = False  # whether only the nearest cells are in it, because the machine is slow


@dataclass(frozen=True)
class Budget:
    """Token limits for both sides of the cursor."""

    prefix: int
    suffix: int


def keep_tail(tokens: Tail, room: int) -> Tail:
    """Keep the end of tokens or of a text; its start moves in steps of a quarter of the room.

    If it moved with every token, each keystroke would change the start of the prompt and invalidate the
    cache.
    """
    if len(tokens) <= room:
        return tokens
    if room <= 0:
        return tokens[:0]
    step = max(1, room // 4)
    return tokens[-(-(len(tokens) - room) // step) * step :]


def read_head(tokenize: Tokenize, text: str, room: int) -> list[int]:
    """Return the first tokens of a text that fit."""
    return tokenize(text[: WIDEST * max(0, room)])[: max(0, room)]


def pieces_left_out(sizes: Sequence[int], near: int, room: int) -> int:
    """Return how many of the furthest pieces to leave out so that the others and `near` tokens fit.

    They are left out in steps of a quarter of the room, as in `keep_tail`; one quarter is reserved for an
    outline of them.
    """
    over = sum(sizes) + near - room
    if over <= 0:
        return 0
    step = max(1, room // 4)
    wanted = -(-(over + room // 4) // step) * step
    gone = 0
    for count, size in enumerate(sizes):
        if gone >= wanted:
            return count
        gone += size
    return len(sizes)


def heal_word(text: str, tokens: list[int], piece: Callable[[int], bytes]) -> tuple[list[int], bytes]:
    """Drop the last token of a text that may end within a word; return the others, and its bytes.

    Vocabularies have tokens for whole words: models continue badly after the token of a partial word.
    """
    if not tokens or not (text[-1] == "_" or text[-1].isalnum()):
        return tokens, b""
    return tokens[:-1], piece(tokens[-1])


def build(
    form: BoundFormat,
    tokenize: Tokenize,
    *,
    context: Sequence[Sequence[int]],
    prefix: list[int],
    suffix: str,
    budget: Budget,
    forced: bytes = b"",
) -> Prompt:
    """Build the prompt of a suggestion, whose prefix constraint is `forced`."""
    before = [token for piece in context for token in piece]
    kept = keep_tail(before + prefix, budget.prefix)
    begun = max(0, len(kept) - len(prefix))
    parts = {
        "PREFIX": kept,
        "CONTEXT": kept[:begun],
        "NEAR": kept[begun:],
        "SUFFIX": read_head(tokenize, suffix, budget.suffix) if suffix and budget.suffix else [],
    }
    return lay_out(form, [form.bos] if form.bos is not None else [], parts, forced)


def lay_out(form: BoundFormat, tokens: list[int], parts: dict[str, list[int]], forced: bytes = b"") -> Prompt:
    """Append the markers and texts of a format to the preceding tokens."""
    start = stop = 0
    for part in form.order:
        if part == "suffix":
            start = len(tokens)
        tokens.extend(parts[part] if part.isupper() else [form.markers[part]])
        if part == "SUFFIX":
            stop = len(tokens)
    before = form.order[: form.order.index("suffix")] if "suffix" in form.order else form.order
    if "PREFIX" not in before:
        return Prompt(tokens, forced)
    context_end = max(0, (start or len(tokens)) - NEAR)
    if not start:
        return Prompt(tokens, forced, context_end=context_end)
    # The tokens directly after the cursor tell the model its position, so they have to be evaluated again.
    anew = start + REEVALUATED
    span = (anew, stop) if anew < stop else (0, 0)
    return Prompt(tokens, forced, span, context_end, len(tokens) - start)
