"""Random Python modules, and the names in them as resolved by Python's compiler."""

import dis
import warnings
from collections.abc import Callable, Iterator
from textwrap import indent
from types import CodeType

from hypothesis import assume
from hypothesis import strategies as st

NAMES = st.sampled_from(["f", "g", "helper", "é", "value", "len"])
Place = tuple[str, int, int]  # a name, its line, its column in bytes


def _expressions(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{}({})".format, NAMES, inner),
        st.builds("{}({}, {})".format, NAMES, inner, inner),
        st.builds("{}({}, {}={})".format, NAMES, inner, NAMES, inner),
        st.builds("{}(*{}, {}, **{})".format, NAMES, inner, inner, inner),
        st.builds("{}.{}({})".format, inner, NAMES, inner),
        st.builds("({} := {})".format, NAMES, inner),
        st.builds("(lambda {}={}: {})".format, NAMES, inner, inner),
        st.builds("[{} for {} in {} if {}]".format, inner, NAMES, inner, inner),
        st.builds("({{{}: {} for {} in {}}})".format, inner, inner, NAMES, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds('f"é {{ {} }} {{ {} !r:>{{ {} }} }} helper(1)"'.format, NAMES, NAMES, NAMES),
        st.builds("f'''é\n{{ {}(1) }}{{\n{} }} {{{{f(1)}}}}'''".format, NAMES, NAMES),
        st.builds("[{}, {}]".format, inner, inner),
    )


# No constants: the compiler drops code after a constant condition.
EXPRESSIONS = st.recursive(NAMES | st.sampled_from(["[]", "['f(1)']"]), _expressions, max_leaves=5)


def _block(head: str) -> Callable[..., str]:
    """Return a function that builds a compound statement from its head and bodies."""

    def write(*given: str) -> str:
        holes = head.count("{}")
        words, bodies = given[:holes], given[holes:]
        parts = head.format(*words).split("|")
        assert len(parts) == len(bodies)
        return "\n".join(f"{part}\n{indent(body, '    ')}" for part, body in zip(parts, bodies, strict=True))

    return write


def _blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(inner, min_size=1, max_size=3).map("\n".join)
    e, n = EXPRESSIONS, NAMES
    return st.one_of(
        st.builds(_block("def {}({}, /, *{}, key={}):"), n, n, n, e, body),
        st.builds(_block("@{}\ndef {}():"), n, n, body),
        st.builds(_block("@{}({})\nasync def {}(q: {} = 1) -> {}:"), n, e, n, e, e, body),
        st.builds(_block("@{}\nclass {}({}):"), n, n, n, body),
        st.builds(_block("class {}:"), n, body),
        st.builds(_block("def q():\n    global {}\n    {} = 1|if q:"), n, n, body, body),
        st.builds(_block("def outer({}):\n    def q():\n        nonlocal {}\n        {} = 1|if q:"), n, n, n, body, body),
        st.builds(_block("if {}:|else:"), e, body, body),
        st.builds(_block("for {} in {}:"), n, e, body),
        st.builds(_block("with {} as {}:"), e, n, body),
        st.builds(_block("try:|except {} as {}:|finally:"), n, n, body, body, body),
        st.builds(_block("match {}:\n    case {}(x={}) if {}: pass\n    case [*{}]: pass\nif 1 + q:"), e, n, n, e, n, body),
    )  # fmt: skip


_SIMPLE = st.one_of(
    EXPRESSIONS,
    st.builds("{} = {}".format, NAMES, EXPRESSIONS),
    st.builds("{} += {}".format, NAMES, EXPRESSIONS),
    st.builds("import {} as {}".format, NAMES, NAMES),
    st.builds("import {}.{}".format, NAMES, NAMES),
    st.builds("from m import {}".format, NAMES),
    st.builds("del {}".format, NAMES),
    st.builds("global {}".format, NAMES),
)
_STATEMENTS = st.recursive(_SIMPLE, _blocks, max_leaves=6)


@st.composite
def modules(draw: st.DrawFn) -> str:
    """Draw a module that compiles."""
    source = "\n".join(draw(st.lists(_STATEMENTS, min_size=1, max_size=5)))
    try:
        compiled(source)
    except SyntaxError:
        assume(False)
    return source


def compiled(source: str) -> CodeType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(source, "", "exec", dont_inherit=True)


def free_places(source: str) -> set[Place]:
    """Return the positions at which the compiled module looks up unbound global names."""
    codes = [*_codes(compiled(source))]
    bound, used = set(), set()
    for code in codes:
        stores = {
            (step.opname, step.argval)
            for step in dis.get_instructions(code)
            if step.opname in {"STORE_NAME", "DELETE_NAME", "STORE_GLOBAL", "DELETE_GLOBAL"}
        }
        own = {name for how, name in stores if how.endswith("_NAME")}
        bound |= {name for how, name in stores if how.endswith("_GLOBAL") or code is codes[0]}
        for step in dis.get_instructions(code):
            # A comprehension does not see the names of its class, even if its code is inlined there.
            looked_up = step.opname == "LOAD_GLOBAL" or (
                step.opname == "LOAD_NAME" and step.argval not in own
            )
            if looked_up and step.positions:
                used.add((step.argval, step.positions.lineno, step.positions.col_offset))
    return {place for place in used if place[0] not in bound and place[0] not in _MADE}  # type: ignore[misc]


_MADE = {"__name__"}  # names that the compiler itself looks up


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
