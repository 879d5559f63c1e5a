from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.json_schema import grammar_of
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.llama.grammar_check import refusal
from jupyter_turbopilot.engine.stepping import write
from jupyter_turbopilot.generation import Sampling, Token, Usage

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 4},
        "age": {"type": ["integer", "null"]},
        "kind": {"enum": ["a", "b", 1]},
        "tags": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
    },
    "required": ["name", "tags"],
    "additionalProperties": False,
}
TREE = {"$ref": "#/$defs/leaf", "$defs": {"leaf": {"anyOf": [{"type": "null"}, {"const": [1, 'a"\\\n']}]}}}
SCHEMAS: list[dict[str, Any]] = [
    PERSON,
    TREE,
    {"type": "integer"},
    {"type": "array", "maxItems": 2, "items": {"type": "number"}},
    {"type": "array", "minItems": 2, "maxItems": 2, "items": {"const": "é"}},
    {"type": "object", "additionalProperties": {"type": "boolean"}},
    {"type": "object", "properties": {"a": {"const": 1}, "b": {"const": 2}, "c": {"const": 3}}},
    {"type": "array", "maxItems": 0},
    {"type": "string", "enum": ["x", 1]},
]


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> LlamaEngine:
    return LlamaEngine(tiny_model, name="tiny", context_size=512, threads=1)


def fits(tokens: list[Token], schema: dict[str, Any]) -> bool:
    """Look whether what was written fits, where it is text: random weights write bytes that are none."""
    try:
        text = b"".join(token.data for token in tokens).decode()
    except UnicodeDecodeError:
        return False
    jsonschema.validate(json.loads(text), schema)
    return True


@pytest.mark.parametrize("schema", SCHEMAS, ids=json.dumps)
def test_what_is_written_fits_the_schema(engine: LlamaEngine, schema: dict[str, Any]) -> None:
    grammar = grammar_of(schema)
    assert not refusal(grammar)
    whole = 0
    for seed in range(12):
        usage = Usage()
        sampling = Sampling(300, 1.0, grammar=grammar, seed=seed, top_k=0, top_p=1.0)
        tokens = list(write(engine, engine.vocabulary.tokenize("x"), sampling, usage, Cancel()))
        if len(tokens) < 300:
            whole += fits(tokens, schema)
    assert whole


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "a+"},
        {"type": "integer", "minimum": 3},
        {"type": "array", "uniqueItems": True},
        {"type": "array", "minItems": 10**9},
        {"allOf": [{"type": "string"}]},
        {"type": "string", "enum": [1]},
        {"type": "nothing"},
        {"type": []},
        {"minLength": 1},
        {"properties": {}, "patternProperties": {}},
        {"$ref": "https://example.org/schema"},
        {"$ref": "#/no"},
        {"$ref": "#"},
        {"type": "object", "required": ["a"]},
        {"type": "object", "properties": {"a": {"not": {}}}},
        {"enum": []},
        {"anyOf": [5]},
    ],
    ids=json.dumps,
)
def test_what_could_not_be_promised_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        grammar_of(schema)


def test_schemas_as_large_as_a_body_are_refused_at_once() -> None:
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"type": "array", "items": deep}
    wide = {"type": "object", "properties": {f"p{number}": {} for number in range(5000)}}
    for schema in (deep, wide, {"enum": ["x" * 1000] * 200}, {"enum": list(range(5000))}):
        with pytest.raises(ValueError, match=r"more than|may have|large|list of"):
            grammar_of(schema)


leaves = st.sampled_from([{"type": kind} for kind in ("string", "integer", "boolean", "null")])
schemas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda items: {"type": "array", "items": items, "maxItems": 2}, inner),
        st.builds(lambda ways: {"anyOf": ways}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(
            lambda properties, needed: {
                "type": "object",
                "properties": properties,
                "required": sorted(properties)[:needed],
            },
            st.dictionaries(st.text(max_size=4), inner, min_size=1, max_size=3),
            st.integers(0, 3),
        ),
    ),
    max_leaves=6,
)


@settings(max_examples=25, deadline=None)
@given(schemas, st.integers(0, 2**20))
def test_whatever_is_written_whole_fits_any_schema(
    engine: LlamaEngine, schema: dict[str, Any], seed: int
) -> None:
    sampling = Sampling(
        200, 1.0, grammar=grammar_of(schema), seed=random.Random(seed).getrandbits(31), top_k=0
    )
    tokens = list(write(engine, engine.vocabulary.tokenize("x"), sampling, Usage(), Cancel()))
    if len(tokens) < 200:
        fits(tokens, schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": [1], "type": [[]]},
        {"enum": [1], "type": {}},
        {"type": [{}]},
        {"type": ["null"] * 8},
        {"type": []},
        {"x" * 1000: 1},
        {"$ref": "#/" + "a/" * 10_000},
    ],
    ids=lambda schema: json.dumps(schema)[:40],
)
def test_what_makes_no_sense_is_said_briefly(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"type must be|supported|has no") as refused:
        grammar_of(schema)
    assert len(str(refused.value)) < 200


def test_required_names_are_looked_up_not_searched_for() -> None:
    compared = 0

    class Name(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    names = [Name(f"p{number}") for number in range(100)]
    grammar_of({"type": "object", "properties": {key: {} for key in map(str, names)}, "required": names * 10})
    assert compared <= 20 * len(names)
