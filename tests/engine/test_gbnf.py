from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.gbnf import trouble

JSON = r"""
root ::= object
value ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? "}" ws
array ::= "[" ws (value ("," ws value)*)? "]" ws
string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}  # not (((( too much
"""


def test_the_usual_grammars_are_let_through() -> None:
    assert trouble(JSON) == ""
    assert trouble('root ::= ("a" | "b"){3,8} "((((("') == ""


@pytest.mark.parametrize(
    "grammar",
    [
        "root ::= " + "(" * 30_000 + '"a"' + ")" * 30_000,
        'root ::= (("a"?){60}){60}',
        'root ::= part{60}\npart ::= ("a"?){60}',
        'root ::= "a"{1000}',
        'root ::= ("b" "a"{2,40}){1,40}',
        "root ::= r0\n" + "\n".join(f"r{n} ::= r{n + 1}" for n in range(5000)) + '\nr5000 ::= "a"',
    ],
)
def test_what_would_end_the_process_or_never_end_is_refused(grammar: str) -> None:
    assert trouble(grammar).startswith("The grammar ")


@given(st.text(alphabet='()ab:=" {}0,9[]\n#', max_size=200))
def test_whatever_is_sent_is_looked_at(grammar: str) -> None:
    assert isinstance(trouble(f"root ::= {grammar}"), str)
