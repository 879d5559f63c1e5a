"""Generated cases that Python and the front end's TypeScript have to answer alike.

A page without a server gathers context, lays out prompts, trims and judges by itself. Each function of
`labextension/src/local/testing/functions.ts` gets here what hypothesis thinks of. Bounds of many thousand
characters are lowered in neither language: examples of these are in `golden/`.
"""

from __future__ import annotations

import math
import string
import sys
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec import convert

from jupyter_turbopilot import bounds
from jupyter_turbopilot.completer import suggestion_task
from jupyter_turbopilot.completer.compose import Composer
from jupyter_turbopilot.completer.progress import AnswerInProgress
from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.context import languages, magics, notebook, private, ranking
from jupyter_turbopilot.context.facts import Facts
from jupyter_turbopilot.context.notebook import Context
from jupyter_turbopilot.engine.abilities import Abilities
from jupyter_turbopilot.engine.code_points import CodePoints
from jupyter_turbopilot.engine.job import Job
from jupyter_turbopilot.generation import Sampling, Token
from jupyter_turbopilot.prompt import budget
from jupyter_turbopilot.prompt.layout import Layout
from jupyter_turbopilot.reply import Reply
from jupyter_turbopilot.request import Cell, Completion
from jupyter_turbopilot.suggestion import (
    brackets,
    candidates,
    features,
    fit,
    gate,
    grammar,
    lexer,
    matching,
    names,
    resolve,
    surroundings,
    syntax,
    trim,
    writing,
)

from .twins import Twins, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
EXAMPLES = settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)

# Quotes and brackets, line ends and white space of all kinds, letters and digits of any width, what case changes.
SIGNS = "ab_Z01 .,:;=+-*/%!?@#()[]{}<>'\"`\\\n\t"
AWKWARD = "\r\v\f\x1c\x1d\x1e\x1f\x85\xa0\u2028\u2029\ufeff\u200b\u3000é²½٣Ⅻßİıſ\u212a中\u0301ﬁ😀𝑥𝟘\U00020000\x00"
FRAGMENTS = [
    "def f(x):\n", "    ", "\t", "return ", "x", "xs", " = ", "1", "\n", "\n\n", "import numpy as np\n",
    "from a import b\n", "for i in range(3):\n", "lambda y: y", " in ", "import (a, b)", "class C:\n", "%%bash\n",
    "%%time\n", "%time x\n", "!ls -l\n", "  x?\n", "y = !ls\n", "# Load\n", "## Two words \n", "'", '"', '"""',
    "f'{", "}", "(", ")", "[", "]", "{", ", ", ".", ":", "```", "Here is ", "Sure, ", "print(x)", "x.head()",
    "password = 'hunter22'", "api_key: str = \"abcdefgh\"", "sk-abcdefghijklmnopqrstuvwxyz", "eyJhbGciOiJIUzI1",
    ".eyJhbGciOiJIUzI1NiJ9.", "https://me:secret@host", "author = 'Somebody'", "token is 'abcdefgh'",
    "Authorization: Bearer abcdefgh", "auth('abcdef')", "# comment", "\\\n", "ré = 'é'", "a = 1\n", "😀",
]  # fmt: skip
CHARACTERS = st.text(alphabet=SIGNS + AWKWARD, max_size=40)
CODE = st.text(alphabet=SIGNS, max_size=40) | st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join)
TEXT = CODE | CHARACTERS
LINE = TEXT.map(lambda text: text.replace("\n", " "))
LINES = st.sampled_from(["auto", "single", "multi"])
QUOTE = st.sampled_from(["", "'", '"', "`"])
LANGUAGE = st.sampled_from(["python", "python", "r", "javascript", "bash", "klingon"])
PROBABILITY = st.floats(1e-6, 1.0)
PIECES = ["x", "value", " ", "  ", "\n", "\n    ", " = ", "(", ")", "'", ".", "a(b", ", ", "é", "😀", "1", ":"]
WRITTEN = st.lists(st.tuples(st.sampled_from(PIECES) | CODE.filter(bool), PROBABILITY), max_size=12)


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    """The same functions in TypeScript."""
    started = Twins(tmp_path_factory.mktemp("twins"))
    yield started
    started.close()


@pytest.fixture(scope="module", autouse=True)
def _without_parsers() -> Iterator[None]:
    """Let Python judge as a page without a grammar does: by brackets, and names by how a text looks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grammar, "_judge", lambda _, text: (int(not syntax.scan(text).balanced), 0))
        patch.setattr(names, "bindings", resolve._loose_bindings)
        patch.setattr(suggestion_task, "fits_at", lambda request, _: names.fits_at(request, resolve.Scope()))
        patch.setattr(notebook, "describe", lambda *_: DESCRIBED[0])
        yield


DESCRIBED = [""]  # what a kernel knows, where a test says so


def close(one: Any, other: Any, tolerance: float = 1e-9) -> bool:
    """Tell whether two results are equal, numbers but for their last digits: C and JavaScript take logarithms
    by themselves."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(close(a, b, tolerance) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(close(one[k], other[k], tolerance) for k in one)
    if isinstance(one, float) and isinstance(other, float | int) and not isinstance(other, bool):
        return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    return bool(one == other)


def test_they_take_every_character_for_the_same(twins: Twins) -> None:
    """Of those that Python knows: a browser may know more."""
    known = "".join(
        chr(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) not in {"Cn", "Cs"} and chr(code) not in "\"'#rbfuRBFU()[]{}"
    )
    for start in range(0, len(known), 20_000):
        part = known[start : start + 20_000]
        expected = [
            [
                character.isspace(),
                (character.isalnum() or character == "_") and not character.isdecimal(),
                character.isdecimal(),
                len(f"{character}a".splitlines()) > 1,
            ]
            for character in part
        ]
        found = twins("characters", part)
        assert [c for c, a, b in zip(part, expected, found, strict=True) if a != b] == []


SIMPLE: dict[str, tuple[Callable[..., Any], tuple[st.SearchStrategy[Any], ...]]] = {
    "strip": (str.strip, (TEXT,)),
    "splitlines": (lambda text: text.splitlines(keepends=True), (TEXT,)),
    "sorted": (sorted, (st.lists(st.text(alphabet="ab\uffff😀𝑥é", max_size=3), max_size=8),)),
    "rounded": (
        lambda value: round(value, 4),
        (st.floats(0, 1) | st.integers(0, 64).map(lambda n: n / 64) | st.integers(0, 9999).map(lambda n: n / 1e4),),
    ),
    "end_of": (bounds.end_of, (TEXT, st.integers(0, 50))),
    "cell_magic": (magics.cell_magic, (TEXT,)),
    "without_cell_magic": (magics.without_cell_magic, (TEXT,)),
    "without_commands": (magics.without_commands, (TEXT,)),
    "as_python": (magics.as_python, (TEXT,)),
    "cell_language": (languages.cell_language, (TEXT, LANGUAGE)),
    "comment_mark": (languages.comment_mark, (LANGUAGE,)),
    "is_private_path": (
        private.is_private_path,
        (
            st.lists(
                st.sampled_from([".env", ".ssh", "/", "\\", "a", "id_rsa", ".pub", "İd_rsa", "ıd_dsa", "credentials",
                                 "secrets", ".json", "service_account", ".key", "\n", ".", "é", "K.key", "ſecret"]),
                max_size=6,
            ).map("".join)
            | TEXT,
        ),
    ),
    "looks_secret": (private.looks_secret, (LINE,)),
    "without_secrets": (private.without_secrets, (TEXT,)),
    "outline": (notebook.outline, (st.lists(TEXT, max_size=4),)),
    "keep_tail": (budget.keep_tail, (TEXT, st.integers(-2, 50))),
    "read_head": (
        lambda text, room: budget.read_head(lambda some: [*map(ord, some)], text, room), (TEXT, st.integers(-2, 50)),
    ),
    "pieces_left_out": (
        budget.pieces_left_out,
        (st.lists(st.integers(0, 400), max_size=12), st.integers(0, 300), st.integers(-5, 1000)),
    ),
    "open_quote": (brackets.open_quote, (TEXT, st.sampled_from(["\"'`", "'\"", "`"]))),
    "outside": (brackets.outside, (TEXT, QUOTE)),
    "leaves_open": (brackets.leaves_open, (TEXT, QUOTE)),
    "balanced_length": (brackets.balanced_length, (TEXT, st.text(alphabet=")]}", max_size=3))),
    "closers_behind": (brackets.closers_behind, (LINE, st.text(alphabet=")]}'\" (x,", max_size=12) | LINE)),
    "lex": (lambda text: [[x.kind, x.text, x.start, x.unclosed] for x in lexer.lex(text)], (TEXT,)),
    "scan": (lambda text: [*syntax.scan(text)], (TEXT,)),
    "indentation": (surroundings.indentation, (TEXT,)),
    "first_line": (surroundings.first_line, (TEXT,)),
    "may_end": (gate.may_end, (TEXT, TEXT)),
    "bindings": (lambda text: sorted(resolve._loose_bindings(text)), (TEXT,)),
    "fits": (lambda prefix, text: grammar.fitting("", prefix)(text), (CODE, CODE)),
}  # fmt: skip


@pytest.mark.parametrize("name", SIMPLE)
def test_functions_of_texts_and_numbers_answer_alike(twins: Twins, name: str) -> None:
    function, kinds = SIMPLE[name]

    @EXAMPLES
    @given(st.tuples(*kinds))
    def check(given: tuple[Any, ...]) -> None:
        assert twins(name, *given) == function(*given)

    check()


@EXAMPLES
@given(st.lists(CODE, max_size=6), CODE, st.integers(0, 60))
def test_the_same_snippets_are_chosen(twins: Twins, snippets: list[str], near: str, room: int) -> None:
    scores = ranking.scores(snippets, near)
    assert close(scores, twins("scores", snippets, near))
    ordered = sorted(scores)
    assume(all(a == b or b - a > 1e-9 for a, b in zip(ordered, ordered[1:], strict=False)))
    assert twins("chosen", snippets, near, room) == ranking.chosen(snippets, near, room, len)


@EXAMPLES
@given(st.text(alphabet="ab😀", min_size=1, max_size=6), st.lists(st.text(alphabet="ab😀", max_size=8), max_size=5))
def test_a_text_is_found_in_the_same_places(twins: Twins, wanted: str, pieces: list[str]) -> None:
    matcher, ends = matching.Matcher(wanted), []
    for piece in pieces:
        found, end = [], 0
        while (end := matcher.find(piece, end)) >= 0:
            found.append(end)
        ends.append(found)
    assert twins("matches", wanted, pieces) == [ends, matcher.beginnings()]


@EXAMPLES
@given(TEXT, TEXT, LINES, st.integers(1, 9))
def test_the_surroundings_are_the_same(twins: Twins, prefix: str, suffix: str, lines: Any, most: int) -> None:
    found = surroundings.surroundings_of(prefix, suffix, lines, most)
    kept = [value for name, value in asdict(found).items() if name != "max_lines"]
    assert twins("surroundings_of", prefix, suffix, lines, most) == kept


@settings(EXAMPLES, max_examples=500)
@given(TEXT, TEXT, TEXT, st.booleans(), LINES, st.integers(1, 4))
def test_an_answer_is_trimmed_to_the_same_text(
    twins: Twins, text: str, prefix: str, suffix: str, final: bool, lines: Any, most: int
) -> None:
    around = surroundings.surroundings_of(prefix, suffix, lines, most)
    for end in {len(text), len(text) // 2}:
        cut = trim.trim(text[:end], around, final=final)
        assert twins("trim", text[:end], prefix, suffix, final, lines, most) == [cut.text, cut.done]


@EXAMPLES
@given(TEXT, TEXT, st.lists(TEXT, max_size=3))
def test_the_gate_knows_the_same_of_the_cursor(
    twins: Twins, prefix: str, suffix: str, pieces: list[str]
) -> None:
    cursor = features.cursor_features(prefix, suffix, pieces)
    every = "".join([*pieces, " ", prefix])
    words = sorted({*lexer._LEXEME.sub(r"\g<name> ", every).split(), "lambda", "self", "nobody"})
    lines = sorted({line.strip() for line in every.split("\n")} | {"nobody"})
    held = [[word in cursor.words for word in words], [line in cursor.lines for line in lines]]
    known = [cursor.body, cursor.rest, cursor.quote, cursor.closed, cursor.line_features, *held]
    assert twins("cursor_features", prefix, suffix, pieces, words, lines) == known


@EXAMPLES
@given(TEXT, st.lists(st.floats(-9, 0), min_size=1, max_size=9), TEXT, TEXT, st.booleans(), st.booleans())
def test_a_beginning_has_the_same_features(
    twins: Twins, text: str, sure: list[float], prefix: str, suffix: str, whole: bool, further: bool
) -> None:
    cursor = features.cursor_features(prefix, suffix, [])
    found = features.features(text, sure, cursor, whole=whole, further=further)
    assert close(found, twins("features", text, sure, [prefix, suffix], whole, further))


@settings(EXAMPLES, max_examples=500)
@given(WRITTEN, LINE, LINE, st.sampled_from([0.0, 0.05, 0.3, 0.575]), st.booleans(), st.sampled_from(["", ")", "x"]))
def test_the_gate_opens_equally_far(
    twins: Twins, written: list[tuple[str, float]], line: str, rest: str, threshold: float, ended: bool, unfit: str
) -> None:
    made = gate.Gate(features.CursorFeatures(line, rest), threshold, lambda text: not unfit or unfit not in text)
    seen: list[Any] = []
    for piece, probability in written:
        made.add(piece, probability)
        seen.append([*made.shown(made.text), made.hopeless])
    if ended:
        made.end()
    seen.append([*made.shown(made.text, final=True), made.hopeless])
    assert close(seen, twins("gate", written, [line, rest], threshold, ended, unfit))


@settings(EXAMPLES, max_examples=500)
@given(WRITTEN, CODE, CODE, st.sampled_from([0.0, 0.05, 0.3]), st.booleans(), st.booleans())
def test_as_tokens_arrive_the_same_text_is_shown(
    twins: Twins, written: list[tuple[str, float]], prefix: str, suffix: str, threshold: float, unasked: bool, whole: bool
) -> None:
    made = gate.Gate(features.cursor_features(prefix, suffix, []), threshold)
    text = writing.Suggestion(surroundings.surroundings_of(prefix, suffix), made, unasked=unasked)
    seen: list[Any] = []
    for piece, probability in written:
        grown = not text.done and text.take([Token(piece.encode(), probability)])
        seen.append([grown, text.shown, text.confidence, text.ended, text.gave_up])
    text.finish(whole=whole)
    seen.append([False, text.shown, text.confidence, text.ended, text.gave_up])
    assert close(seen, twins("suggestion", written, [prefix, suffix], threshold, unasked, whole))


@EXAMPLES
@given(st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from([0.1, 0.5, 0.5, 0.95])), max_size=9), st.integers(0, 5))
def test_alternatives_branch_off_at_the_same_tokens(
    twins: Twins, written: list[tuple[str, float]], count: int
) -> None:
    tokens = [Token(text.encode(), chance, number) for number, (text, chance) in enumerate(written)]
    found = [[len(kept), banned] for kept, banned in candidates.branches(tokens, count)]
    assert twins("branches", [text for text, _ in written], [chance for _, chance in written], count) == found


def test_models_have_the_same_fit(twins: Twins) -> None:
    for model in (fit.DEFAULT, "somebody's.gguf"):
        assert twins("fit_for", model) == asdict(fit.fit_for(model))


# Whole requests ---------------------------------------------------------------------------------------------

CELLS = st.lists(
    st.builds(
        Cell,
        type=st.sampled_from(["code", "code", "code", "markdown", "raw"]),
        source=TEXT,
        executed=st.sampled_from([True, False, None]),
        error=st.none() | st.sampled_from(["KeyError: 'x'", "a\x1eb\n", "password = 'hunter22'"]),
    ),
    min_size=1,
    max_size=4,
)
SETTINGS = st.fixed_dictionaries(
    {
        "promptTokens": st.sampled_from([64, 100, 1024]),
        "suffixTokens": st.sampled_from([0, 8, 96]),
        "maxTokens": st.sampled_from([2, 48]),
        "maxLines": st.integers(1, 4),
        "eagerness": st.sampled_from(fit.EAGERNESS),
    }
)


@st.composite
def requests(draw: st.DrawFn, **more: Any) -> Completion:
    cells = draw(CELLS)
    active = draw(st.integers(0, len(cells) - 1))
    return Completion(
        cells=cells,
        active=active,
        offset=draw(st.integers(0, len(cells[active].source))),
        language=draw(LANGUAGE),
        path=draw(st.sampled_from(["a.ipynb", "a.ipynb", "conf/.env"])),
        **{name: draw(kind) for name, kind in more.items()},
    )


def as_json(request: Completion) -> Any:
    return convert_back(request)


def convert_back(value: Any) -> Any:
    """Return a request as JSON has it."""
    from msgspec import to_builtins

    return to_builtins(value)


@settings(EXAMPLES, max_examples=500)
@given(requests(), st.sampled_from(["", "# df: DataFrame\n"]))
def test_the_same_context_is_gathered(twins: Twins, request: Completion, described: str) -> None:
    DESCRIBED[0] = described
    found = asdict(notebook.gather(request))
    DESCRIBED[0] = ""
    assert twins("gather", as_json(request), described) == found | {"pieces": [*found["pieces"]]}


@dataclass
class Said:
    """An engine that says what it is told to, a piece at a step; words have numbers beyond all characters."""

    texts: list[list[tuple[str, float]]]
    context_size: int
    fills: bool = True
    name = "scripted"
    fim = "auto"

    def __post_init__(self) -> None:
        self.abilities = Abilities()
        self.vocabulary = CodePoints(fills=self.fills)
        self.vocabulary.piece = self._piece  # type: ignore[method-assign]
        self.asks: list[Any] = []
        self._words: list[str] = []

    def _piece(self, token: int) -> bytes:
        beyond = token - sys.maxunicode - 17
        return (self._words[beyond] if beyond >= 0 else chr(token)).encode()

    def say(self, ask: Any) -> Iterator[list[Token]]:
        said = self.texts[len(self.asks)] if len(self.asks) < len(self.texts) else []
        self.asks.append(ask)
        most = max(0, min(ask.sampling.max_tokens, self.context_size - len(ask.prompt)))
        for text, probability in said[:most]:
            ask.usage.predicted_tokens += 1
            yield [Token(text.encode(), probability, self._number(text))]
        while True:
            yield []

    def _number(self, text: str) -> int:
        if len(text) == 1:
            return ord(text)
        if text not in self._words:
            self._words.append(text)
        return sys.maxunicode + 17 + self._words.index(text)


class Nothing:
    """Stands in for the results: nothing is known."""

    def find(self, place: Any) -> None: ...

    def remember(self, *given: Any, **more: Any) -> None: ...


def configured(chosen: dict[str, Any]) -> Turbopilot:
    settings = {"".join(f"_{c.lower()}" if c in string.ascii_uppercase else c for c in k): v for k, v in chosen.items()}
    return Turbopilot(token_healing=False, **settings)


@EXAMPLES
@given(
    st.lists(TEXT, max_size=8), TEXT, TEXT, st.sampled_from([200, 300, 2048]), SETTINGS, st.booleans(),
    st.sampled_from([None, 1, 40]),
)  # fmt: skip
def test_prompts_are_laid_out_alike(
    twins: Twins, pieces: list[str], prefix: str, suffix: str, size: int, chosen: Any, fills: bool, most: Any
) -> None:
    pieces = [piece * 5 for piece in pieces]
    layout = Layout(engine := Said([], size, fills), configured(chosen))  # type: ignore[arg-type]
    request = Completion(cells=[Cell()], offset=0, max_tokens=most)
    prompt = layout.prompt(request, Context(tuple(pieces), prefix, suffix))
    context = {"pieces": pieces, "prefix": prefix, "suffix": suffix}
    found = twins("layout", context, engine.context_size, chosen, fills, most)
    assert found == {"tokens": prompt.tokens, "suffixSpan": [*prompt.suffix_span]}


FACTS = st.dictionaries(
    st.sampled_from(["df", "x", "xs", "é"]),
    st.fixed_dictionaries(
        {},
        optional={
            "columns": st.none()
            | st.lists(
                st.tuples(st.sampled_from(["price", "pr", "a b", "it's", "class", "ﬁne", "x\u202e", "é"]), st.just("int64")),
                max_size=3,
            ),
            "all": st.booleans(),
            "module": st.sampled_from([None, "pandas", "polars.dataframe"]),
            "attributes": st.none() | st.lists(st.sampled_from(["head", "hex", "class", "a b", "ﬁt", "𝑥"]), max_size=3),
        },
    ),
    max_size=3,
).map(lambda names: {"names": names, "all": True})
TYPED = st.sampled_from(["df.", "df.h", "x.", "df['", 'x = df["', 'df["p', "é['p", "xs.he", "y = x['", "x.head", "𝑥.h"])


@settings(EXAMPLES, max_examples=500)
@given(CELLS, CODE, TYPED, st.sampled_from(["", "']", '"]', "\nx", ")"]), FACTS)
def test_the_same_names_can_follow(
    twins: Twins, cells: list[Cell], before: str, typed: str, behind: str, known: Any
) -> None:
    text = before + typed
    request = Completion(cells=[*cells, Cell(source=text + behind)], active=len(cells), offset=len(text))
    expected = names.names_at(request, names.scope_of(request, convert(known, Facts)))
    assert twins("names_at", as_json(request), known) == expected


def answer(request: Completion, engine: Said, chosen: Turbopilot, facts: Facts) -> dict[str, Any]:
    """Return what a server answers whose engine says this."""
    layout = Layout(engine, chosen)  # type: ignore[arg-type]
    task = suggestion_task.suggestion_task(request, facts, engine.name, chosen, lambda _: layout)
    job = Job(lambda *_: iter(()), lambda _: None)  # type: ignore[arg-type,return-value]
    job.progress = AnswerInProgress()
    frames: list[dict[str, Any]] = []

    def told(reply: Reply) -> None:
        frame = reply.frame()
        kept = ("text", "confidence", "done", "finish_reason")
        frames.append({name: frame[name] for name in kept if name in frame})

    work = Composer("name", task, engine, job, told, Nothing()).write()  # type: ignore[arg-type]
    last, said, tokens = None, iter([]), None
    try:
        while True:
            ask = work.send(tokens)  # type: ignore[arg-type]
            if ask is not last:
                last, said = ask, engine.say(ask)
            tokens = next(said)
    except StopIteration as stop:
        reply = replace(stop.value, done=True)
    asked = [
        {
            "prompt": [*ask.prompt],
            "sampling": _sampling(ask.sampling, len(ask.prompt), engine.context_size),
            "suffixSpan": [*ask.suffix_span],
        }
        for ask in engine.asks
    ]
    if request.n > 1:
        return {"items": reply.body()["items"], "asked": asked}
    told(reply)
    return {"frames": frames, "asked": asked}


def _sampling(sampling: Sampling, prompt: int, context_size: int) -> dict[str, Any]:
    beginning = sampling.beginning
    return {
        "maxTokens": min(sampling.max_tokens, max(0, context_size - prompt)),
        "temperature": sampling.temperature,
        "seed": sampling.seed,
        "ways": [[*map(ord, way.decode())] for way in beginning.ways],
        "banned": beginning.banned,
    }


@settings(EXAMPLES, max_examples=400)
@given(
    requests(
        trigger=st.sampled_from(["automatic", "invoke", "ahead", "warm"]),
        lines=LINES,
        eagerness=st.none() | st.sampled_from(fit.EAGERNESS),
        n=st.sampled_from([1, 1, 2, 4]),
        max_tokens=st.sampled_from([None, 3]),
        max_lines=st.sampled_from([None, 2]),
        temperature=st.sampled_from([0.0, 0.0, 0.7]),
        seed=st.sampled_from([None, 5]),
        stream=st.just(True),
    ),
    st.lists(WRITTEN, min_size=1, max_size=4),
    st.sampled_from([400, 2048]),
    SETTINGS,
    FACTS,
)
def test_requests_are_answered_alike(
    twins: Twins, request: Completion, said: Any, size: int, chosen: Any, known: Any
) -> None:
    if request.n > 1:
        request.__class__  # a stream carries a single suggestion
        from msgspec.structs import replace as changed

        request = changed(request, stream=False)
    expected = answer(request, Said(said, size), configured(chosen), convert(known, Facts))
    found = twins("answer", as_json(request), said, size, chosen, known)
    assert close(expected, found, 2e-4)
