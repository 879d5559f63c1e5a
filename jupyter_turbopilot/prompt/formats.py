"""Context, prefix and suffix become token ids, in the format of each family of models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.errors import BadRequestError, ContextLengthError
from jupyter_turbopilot.prompt.budget import (
    WIDEST,
    Budget,
    Tokenize,
    keep_tail,
    pieces_left_out,
    read_head,
)

if TYPE_CHECKING:
    from jupyter_turbopilot.generation import Markers, RawRequest

INFILL_WINDOW = 2048
ANSWER_SHARE = 8  # this part of the context, one eighth, is always kept free for an answer
READ_ANEW = 9  # tokens from the suffix's marker on that are read again at each keystroke
_SNIPPET = "\n\n--- snippet ---\n\n"
Heal = Callable[[str], tuple[list[int], bytes]]


@dataclass(frozen=True)
class FimFormat:
    """How to ask a family of models to fill in the middle.

    `order` lists the markers (lower case) and texts (upper case) of a prompt; `prefix`, `suffix` and `middle`
    are the markers as the vocabulary spells them.
    """

    name: str
    prefix: str
    suffix: str
    middle: str
    order: tuple[str, ...] = ("prefix", "PREFIX", "suffix", "SUFFIX", "middle")
    extra: tuple[str, ...] = ()  # markers before the names of a repository and of a file


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
    # Its first mask stands for the hole, and once more before what fills it.
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
    """A format with a model's token ids; `markers` is empty if the model cannot fill in the middle."""

    name: str
    order: tuple[str, ...] = ("PREFIX",)
    markers: dict[str, int] = field(default_factory=dict)
    bos: int | None = None
    repository: int | None = None
    file: int | None = None

    @property
    def joined(self) -> BoundFormat:
        """This format with the cell's own text behind the middle marker, where the answer goes on with it.

        Typing then adds to the end of the prompt: while the suffix stays, nothing is read again or moved.
        """
        if self.order[-1] != "middle":
            return self
        order = ("CONTEXT" if part == "PREFIX" else part for part in self.order)
        return replace(self, order=(*order, "NEAR"))


def form_for(
    find_token: Callable[[str], int | None], detected: Markers, preferred: str = "auto"
) -> BoundFormat:
    """Choose the format: the catalogue's, or by the vocabulary, or as llama.cpp detected it, or none."""
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
    """The token ids of a prompt, and the bytes that the answer must begin with if a token was dropped."""

    tokens: list[int]
    forced: bytes = b""
    suffix_span: tuple[int, int] = (0, 0)  # the suffix, if it stands behind the prefix
    behind: int = 0  # tokens behind the prefix: each keystroke has them read again
    cut: bool = False  # whether something had to be left out


def heal_word(tokenize: Tokenize, piece: Callable[[int], bytes]) -> Heal:
    """Return a function that drops the last token if the prefix may end within a word.

    A vocabulary has tokens for whole words: behind the token of a word's beginning, models continue badly.
    """

    def heal(prefix: str) -> tuple[list[int], bytes]:
        tokens = tokenize(prefix)
        if not tokens or not (prefix[-1] == "_" or prefix[-1].isalnum()):
            return tokens, b""
        return tokens[:-1], piece(tokens[-1])

    return heal


def build(
    form: BoundFormat,
    tokenize: Tokenize,
    *,
    context: Sequence[Sequence[int]],
    prefix: str,
    suffix: str,
    budget: Budget,
    heal: Heal | None = None,
) -> Prompt:
    """Build the prompt of a suggestion; what `heal` drops of the prefix, the answer has to begin with."""
    before = [token for piece in context for token in piece]
    prefix = keep_tail(prefix, WIDEST * budget.prefix)
    near, forced = heal(prefix) if heal else (tokenize(prefix), b"")
    kept = keep_tail(before + near, budget.prefix)
    begun = max(0, len(kept) - len(near))
    parts = {
        "PREFIX": kept,
        "CONTEXT": kept[:begun],
        "NEAR": kept[begun:],
        "SUFFIX": read_head(tokenize, suffix, budget.suffix) if suffix and budget.suffix else [],
    }
    return _lay_out(form, [form.bos] if form.bos is not None else [], parts, forced)


def _lay_out(
    form: BoundFormat, tokens: list[int], parts: dict[str, list[int]], forced: bytes = b""
) -> Prompt:
    start = stop = 0
    for part in form.order:
        if part == "suffix":
            start = len(tokens)
        tokens.extend(parts[part] if part.isupper() else [form.markers[part]])
        if part == "SUFFIX":
            stop = len(tokens)
    behind = "PREFIX" in form.order[: form.order.index("suffix")] if "suffix" in form.order else False
    if not behind:
        return Prompt(tokens, forced)
    # The tokens right behind the cursor tell the model where it is, so they have to be read again.
    anew = start + READ_ANEW
    return Prompt(tokens, forced, (anew, stop) if anew < stop else (0, 0), len(tokens) - start)


def build_infill(
    form: BoundFormat,
    tokenize: Tokenize,
    fresh: Tokenize,
    request: RawRequest,
    context_size: int,
    length: int,
) -> Prompt:
    """Build the prompt of `/infill` as llama.cpp's server does.

    Other files first, under the repository's and the files' markers; then at most a window of text, three
    quarters of it before the cursor. `fresh` tokenizes, without a cache, what changes with each keystroke.
    """
    window = min(INFILL_WINDOW, context_size // 2)
    near, behind = 3 * (window // 4), window // 4
    typed = keep_tail(fresh(keep_tail(request.typed, WIDEST * near)), near)
    # Cut in steps, unlike llama.cpp's server: if the start moved with each token, all would be read again.
    prefix = keep_tail(fresh(keep_tail(str(request.prompt), WIDEST * near)), near - len(typed)) + typed
    suffix = read_head(tokenize, request.suffix or "", behind - 2 - len(typed))
    others: list[int] = []
    if form.repository is not None:
        others += [form.repository, *tokenize("myproject\n")]
    files = [(name, keep_tail(text, WIDEST * window)) for name, text in request.others]
    for name, text in files[pieces_left_out([len(text) for _, text in files], 0, WIDEST * context_size) :]:
        named = [form.file, *tokenize(f"{name}\n")] if form.file is not None else tokenize(_SNIPPET)
        others += [*named, *tokenize(text)]
    if form.file is not None:
        others += [form.file, *tokenize("filename\n")]
    # A request that only reads ahead has no length: what is kept of the files must not depend on it.
    answer = max(length, context_size // ANSWER_SHARE)
    tokens = keep_tail(others, max(0, context_size - answer - window - len(form.order) - 1))
    if form.bos is not None:
        tokens = [*tokens, form.bos]
    return _lay_out(form, tokens, {"PREFIX": prefix, "SUFFIX": suffix})


def build_text(form: BoundFormat, tokenize: Tokenize, request: RawRequest, context_size: int) -> Prompt:
    """Build the prompt of a text to continue or to fill in; a text that is too long is cut or refused."""
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
        raise BadRequestError("This model cannot fill in the middle. Leave the suffix out.", field="suffix")
    marks = len(bos) + (len(form.markers) if request.suffix is not None else 0)
    needed, length = marks + len(above) + len(before) + len(after), request.sampling.max_tokens
    cut = request.cut and (needed >= context_size or size > most)
    if cut:
        # The prompt is cut only if it does not fit by itself; otherwise the answer ends with the context.
        room = context_size - marks - max(1, min(length, context_size // ANSWER_SHARE))
        after = after[: max(0, room) // 4]
        before = keep_tail(before, max(1, room - len(after)))
        above = keep_tail(above, room - len(after) - len(before))
    elif needed + length > context_size and not request.cut:
        raise ContextLengthError(context_size, needed, length)
    if request.suffix is None:
        return Prompt([*bos, *before], cut=cut)
    return replace(_lay_out(form, [*bos, *above], {"PREFIX": before, "SUFFIX": after}), cut=cut)


def _named(form: BoundFormat, tokenize: Tokenize, kind: str, text: str) -> list[int]:
    """Return a file or the name of the repository behind the model's marker for it."""
    mark = form.repository if kind == "repository" else form.file
    if mark is not None:
        return [mark, *tokenize(text)]
    return [*tokenize(_SNIPPET), *tokenize(text)] if kind == "file" and text else []
