from __future__ import annotations

import multiprocessing
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.json_schema import grammar_of
from jupyter_turbopilot.engine.llama.grammar_check import refusal

JSON = r"""
root ::= object
value ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? "}" ws
array ::= "[" ws (value ("," ws value)*)? "]" ws
string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}  # not (((( too much
"""

ARITHMETIC = r"""
root  ::= (expr "=" ws term "\n")+
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]+ ws
ws    ::= [ \t\n]*
"""
LIST = 'root ::= item+\nitem ::= "- " [^\\r\\n\\x0b\\x0c\\x85\\u2028\\u2029]+ "\\n"'
CHESS = r"""
root   ::= object | ((move " " move "\n"){1,9} "1. " move)
object ::= "1. " move " " move "\n" ([1-9] [0-9]? ". " move " " move "\n")+
move   ::= (pawn | nonpawn | castle) [+#]?
nonpawn ::= [NBKQR] [a-h]? [1-8]? "x"? [a-h] [1-8]
pawn   ::= ([a-h] "x")? [a-h] [1-8] ("=" [NBKQR])?
castle ::= "O-O" "-O"?
"""
JAPANESE = "root ::= jp-char+ ([ \\t\\n] jp-char+)*\njp-char ::= hiragana | [ァ-ヿ]\nhiragana ::= [ぁ-ゟ]"
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 200},
        "kind": {"enum": ["a", "b", "ab"]},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 20},
        "more": {"type": "object", "properties": {"count": {"type": "integer"}, "any": {}}},
    },
    "required": ["name"],
}


@pytest.mark.parametrize(
    "grammar",
    [
        JSON,
        ARITHMETIC,
        LIST,
        CHESS,
        JAPANESE,
        grammar_of(SCHEMA),
        'root ::= ("a" | "b"){3,8} "((((("',
        'root ::= "a"{1000}',
        "root ::= [a-z]{0,2000}",
        'root ::= ("b" "a"{2,40}){1,40}',
        'root ::= "a"? "b"? "c"?',
        'root ::= ("a"?)*',
        "root ::= <[7]> !<|end|> . [^a]",
        "root ::= " + " | ".join(f'"item {number}"' for number in range(500)),
        'root ::= "a"\r\n# a remark\r\nb ::= root |\n  "c"',
    ],
)
def test_the_usual_grammars_are_let_through(grammar: str) -> None:
    assert refusal(grammar) == ""


CHAIN = 'root ::= r0\n{}\nr60 ::= "a"'


@pytest.mark.parametrize(
    "grammar",
    [
        'root ::= "a"{5,1}',
        f'root ::= "a"{{{"9" * 5000}}}',
        f'root ::= "a"{{1,{"9" * 5000}}}{{3000}}',
        'root ::= "a"{2}{2000}',
        f'root ::= "{"a" * 30_000}"{{2000}}',
        'root ::= "a"' + "+" * 60_000,
        "root ::= " + "(" * 30_000 + '"a"' + ")" * 30_000,
        "root ::= " + "[" * 60_000,
        'root ::= "' + "a" * 60_000,
        'root ::= (("a"?){60}){60}',
        'root ::= part{60}\npart ::= ("a"?){60}',
        'root ::= (("a"? "b"?){22}){22}',
        'root ::= ("a"{0,40}){0,40}',
        'root ::= ("a"* "a"* "a"*)*',
        'root ::= ([a-z]+ " "?)*',
        'root ::= "begin " ((" " | " "?))*',
        'root ::= "a" root "b" | "a" root "c" | "d"',
        "root ::= ((([^a]){400})*){400}",
        "root ::= " + " | ".join(f'"item {number}"' for number in range(2000)),
        CHAIN.format("\n".join(f"r{at} ::= r{at + 1} | r{at + 1}" for at in range(60))),
        "root ::= r0\n" + "\n".join(f"r{at} ::= r{at + 1}" for at in range(5000)) + '\nr5000 ::= "a"',
        'root ::= root "a" | "b"',
        'root ::= x root "a" | "b"\nx ::= y\ny ::= "q"?',
        'root ::= "a" \0',
        f"root ::= <{'a' * 60_000}>",
        "root ::= nothing",
        'other ::= "a"',
        "root ::= *",
        'root ::= ""*',
        r'root ::= "\q"',
        "root = 3",
        "",
    ],
)
def test_what_would_end_the_process_or_never_end_is_refused_in_words(grammar: str) -> None:
    assert refusal(grammar).startswith("The grammar")


@given(st.text(alphabet='()ab:=" {}0,9[]|*?+\n#\\<>.-^', max_size=200))
def test_whatever_is_sent_is_looked_at(grammar: str) -> None:
    assert isinstance(refusal(f"root ::= {grammar}"), str)


def some(seed: int, count: int) -> list[str]:
    """Return grammars that are put together by chance."""
    rng = random.Random(seed)
    ends = ['"a"', '"ab"', "[a-z]", "[^a]", '" "', ".", "x", "y", '""', "[ab]"]
    signs = ["*", "+", "?", "{2}", "{0,3}", "{3,}", "{22}", "{0,60}", "{5,1}", "{400}", "{1,2000}", "{3}{3}"]

    def part(depth: int) -> str:
        kind = rng.random()
        if depth <= 0 or kind < 0.3:
            return rng.choice(ends)
        if kind < 0.5:
            return " ".join(part(depth - 1) for _ in range(rng.randrange(1, 4)))
        if kind < 0.65:
            return f"({' | '.join(part(depth - 1) for _ in range(rng.randrange(1, 4)))})"
        return f"({part(depth - 1)}){rng.choice(signs)}"

    return [
        "\n".join(f"{rule} ::= {part(rng.randrange(4))}" for rule in ("root", "x", "y")) for _ in range(count)
    ]


def _try(path: Path, grammars: list[str], told: Any) -> None:
    from .test_engine import LlamaEngine, complete

    engine = LlamaEngine(path, name="tiny", context_size=512, threads=1)
    for grammar in grammars:
        told.send(grammar)
        complete(engine, "x", 12, temperature=1.0, seed=1, grammar=grammar)
    told.send(None)


def test_llama_cpp_lives_through_what_is_let_through(tiny_model: Path) -> None:
    grammars = [grammar for grammar in some(5, 150) if not refusal(grammar)]
    assert 20 < len(grammars) < 120
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe(duplex=False)
    child = spawn.Process(target=_try, args=(tiny_model, grammars, there), daemon=True)
    child.start()
    there.close()
    tried: str | None = "nothing yet"
    try:
        while tried is not None:
            assert here.poll(60), f"It never came back from {tried!r}."
            tried = here.recv()
    except EOFError:
        pytest.fail(f"The process ended at {tried!r}.")
    finally:
        child.kill()
        child.join(10)
