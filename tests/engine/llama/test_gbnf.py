from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.llama.gbnf import LARGEST, CharacterSet, GrammarError, Rules, parse

ROOT = 0  # rules are numbered in the order in which they are named


def ends_of(grammar: Rules, text: str) -> dict[tuple[int, int], set[int]]:
    """Return where each rule may end in a text, by where it begins: tried until nothing is added."""
    ends: dict[tuple[int, int], set[int]] = {
        (rule, at): set() for rule in grammar.rules for at in range(len(text) + 1)
    }
    grown = True
    while grown:
        grown = False
        for (rule, start), known in ends.items():
            for alternative in grammar.rules[rule]:
                places = {start}
                for element in alternative:
                    if element >= 0:
                        places = set().union(*(ends[element, at] for at in places))
                    else:
                        characters = grammar.character(element)
                        places = {at + 1 for at in places if at < len(text) and characters.has(ord(text[at]))}
                grown = grown or not places <= known
                known.update(places)
    return ends


def accepts(grammar: Rules, text: str) -> bool:
    return len(text) in ends_of(grammar, text)[ROOT, 0]


repetitions = st.sampled_from(["", "*", "+", "?", "{2}", "{0,2}", "{1,}", "{1,3}", "{0}"])
parts = st.recursive(
    st.sampled_from([('"a"', "a"), ('"b"', "b"), ("[ab]", "[ab]"), ("[^a]", "[^a]"), (".", ".")]),
    lambda inner: st.tuples(
        st.lists(st.lists(inner, min_size=1, max_size=2), min_size=1, max_size=2), repetitions
    ).map(
        lambda made: tuple(
            "(" + "|".join(joint.join(part[side] for part in way) for way in made[0]) + ")" + made[1]
            for side, joint in ((0, " "), (1, ""))
        )
    ),
    max_leaves=6,
)


@given(parts)
def test_a_grammar_accepts_what_the_same_regular_expression_matches(part: tuple[str, str]) -> None:
    grammar, pattern = parse(f"root ::= {part[0]}"), re.compile(part[1])
    for length in range(4):
        for text in map("".join, product("ab", repeat=length)):
            assert accepts(grammar, text) == bool(pattern.fullmatch(text)), text


def test_rules_use_each_other() -> None:
    grammar = parse('root ::= "<" inner ">" # a remark\ninner ::= root |\n  "x"')
    assert accepts(grammar, "<<x>>")
    assert not accepts(grammar, "<<x>")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r'"\x41"', "A"),
        (r'"\u00e9"', "é"),
        (r'"\U0001F600"', "😀"),
        (r'"\n\t\r\"\\"', '\n\t\r"\\'),
        (r"[\]]", "]"),
    ],
)
def test_escapes_stand_for_one_character(written: str, meant: str) -> None:
    assert accepts(parse(f"root ::= {written}"), meant)


def test_equal_sets_of_characters_are_kept_once() -> None:
    grammar = parse('root ::= [a-z] "x" [a-z] "x"')
    assert grammar.characters == [
        CharacterSet(((97, 122),), negated=False),
        CharacterSet(((120, 120),), negated=False),
    ]


@pytest.mark.parametrize(
    ("grammar", "problem"),
    [
        ('root ::= "a', "line 1 needs a character"),
        ('root ::= "a"\nother ::= (', r"line 2 needs `\)`"),
        ("root ::= [a", "line 1 needs a character"),
        ('root = "a"', "line 1 needs `::=`"),
        ("root ::= *", "line 1 needs something before"),
        ('root ::= "a"{2', "line 1 needs `}`"),
        ('root ::= "a"{x}', "line 1 needs a whole number"),
        ('root ::= "a" )', "line 1 needs the end of the rule"),
        ("root ::= nothing", "rule `nothing` is not defined"),
        ('other ::= "a"', "no rule `root`"),
        ('root ::= "a" \0', "NUL"),
        ('root ::= "a"{3,2}', "at least 3 and at most 2"),
        ('root ::= "a"{2001}', "more than 2000 times"),
        ('root ::= "a"{2}{2000}', "more than 2000 times in all"),
        ("root ::= " + "(" * 130 + '"a"' + ")" * 130, "more than 128 groups"),
        (f'root ::= "{"a" * 300}"{{1000}}', f"more than {LARGEST} elements"),
    ],
)
def test_the_error_names_the_line_or_the_limit(grammar: str, problem: str) -> None:
    with pytest.raises(GrammarError, match=problem):
        parse(grammar)
