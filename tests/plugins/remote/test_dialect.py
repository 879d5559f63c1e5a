import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.base import SAMPLING_OPTIONS
from jupyter_turbopilot.plugins.remote.dialect import (
    FIELDS,
    UNKNOWN,
    Request,
    Style,
    TextPrompt,
    has_control_token,
    likeliest,
    parts,
    probability,
    read_error,
    read_json,
    sampling_fields,
    spread,
    text_prompt,
)
from jupyter_turbopilot.plugins.remote.errors import InvalidAnswerError
from jupyter_turbopilot.plugins.remote.vocabulary import MIDDLE, PREFIX, SUFFIX, CodePoints
from jupyter_turbopilot.prompt.formats import FORMATS
from jupyter_turbopilot.protocol.engine_request import Sampling

ALL = Sampling(
    temperature=0.5,
    top_k=3,
    top_p=0.7,
    min_p=0.1,
    typical_p=0.9,
    repeat_penalty=1.1,
    frequency_penalty=0.2,
    presence_penalty=0.3,
    penalty_last_n=7,
    logit_bias=((5, 1.0), ("ab", -2.0)),
    samplers=("top_k",),
    ignore_end=True,
    seed=9,
    drawn=True,
    cached=False,
)


def test_llama_styles_have_a_field_for_every_option() -> None:
    assert len(sampling_fields(ALL, "llama")) == len(SAMPLING_OPTIONS)


@pytest.mark.parametrize("style", ["openai", "vllm", "llama"])
def test_sampling_fields_contain_every_supported_option(style: Style) -> None:
    sent = sampling_fields(ALL, style)
    assert len(sent) == len(FIELDS[style]) + 1
    assert sent["temperature"] == 0.5
    assert sent["top_p"] == 0.7


@pytest.mark.parametrize("style", ["openai", "vllm", "llama"])
def test_sampling_fields_without_temperature_omit_samplers(style: Style) -> None:
    sent = sampling_fields(Sampling(), style)
    assert sent["temperature"] == 0
    assert not {"top_p", "top_k", "seed", "samplers", "logit_bias"} & sent.keys()


def test_sampling_fields_disable_the_servers_default_penalty() -> None:
    assert sampling_fields(Sampling(), "vllm")["repetition_penalty"] == 1.0


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b'{"error": {"param": "repetition_penalty", "message": "SECRET"}}', ("repeat_penalty", "")),
        (b'{"error": {"message": "Field \'repeat_last_n\': Value must be SECRET"}}', ("penalty_last_n", "")),
        (b'{"error": {"message": "Field \'SECRET\' is none", "param": null}}', ("", "")),
        (b'{"error": {"param": "prompt"}}', ("", "")),
        (b'{"error": {"param": 3}}', ("", "")),
        (b'{"error": "SECRET"}', ("", "")),
        (b'{"error": {"code": "model_missing", "message": "SECRET"}}', ("", "model_missing")),
        (b'{"error": {"code": 503}}', ("", "")),
        (b'{"message": "Forbidden"}', ("", "")),
        (b"<html>", ("", "")),
        (b"[" * 100_000, ("", "")),
    ],
)
def test_read_error_returns_only_known_options_and_the_code(data: bytes, found: tuple[str, str]) -> None:
    error = read_error(data)
    assert (error.option, error.code) == found


def test_request_repr_hides_the_body() -> None:
    assert "hush" not in repr(Request("/x", {"prompt": "hush"}))


ANY = st.none() | st.floats()


@given(ANY)
def test_probability_is_always_valid(value: float | None) -> None:
    assert 0.0 <= probability(value) <= 1.0


@pytest.mark.parametrize("value", [None, math.nan, 0.5, math.inf, -math.inf])
def test_probability_of_an_invalid_logprob_is_unknown(value: float | None) -> None:
    assert probability(value) == UNKNOWN


def test_probability_accepts_rounding_errors() -> None:
    assert probability(1e-7) == 1.0


@given(st.lists(st.tuples(st.integers(0, 99), ANY)))
def test_likeliest_returns_sorted_valid_logprobs(pairs: list[tuple[int, float | None]]) -> None:
    values = [value for _, value in likeliest(pairs)]
    assert values == sorted(values, reverse=True)
    assert all(value <= 0 for value in values)


MARKERS = [
    text for known in FORMATS for text in (known.prefix, known.suffix, known.middle, *known.extra) if text
]
CHARACTERS = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.floats(0, 1), max_size=3))
def test_spread_keeps_text_and_probability(text: str, chances: list[float]) -> None:
    tokens = spread(text, chances)
    assert b"".join(token.data for token in tokens) == text.encode()
    whole = math.prod(chances) if chances else 0.0
    assert not text or math.prod(token.probability for token in tokens) == pytest.approx(whole)


def ids(before: str, after: str | None = None) -> list[int]:
    tokenize = CodePoints().tokenize
    if after is None:
        return tokenize(before)
    return [PREFIX, *tokenize(before), SUFFIX, *tokenize(after), MIDDLE]


@given(CHARACTERS, st.none() | CHARACTERS)
def test_parts_returns_the_texts_of_a_prompt(before: str, after: str | None) -> None:
    assert parts(ids(before, after)) == (before, after)


def test_parts_accepts_the_suffix_first() -> None:
    assert parts([SUFFIX, 98, MIDDLE, 97]) == ("a", "b")


@pytest.mark.parametrize(
    "marker", [*MARKERS, "<|endoftext|>", "<|im_start|>", "</s>", "<\uff5cend\u2581of\u2581sentence\uff5c>"]
)
def test_text_prompt_removes_lines_with_markers(marker: str) -> None:
    prompt = text_prompt(ids(f"a\nx = '{marker}'\nb", f"c\n{marker}\nd\n"))
    assert prompt == TextPrompt("a\nb", "c\nd\n")


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("cut", range(3))
def test_text_prompt_rejects_a_marker_on_the_cursors_line(marker: str, cut: int) -> None:
    line = f"x{marker}y"
    at = (0, len(line) // 2, len(line))[cut]
    assert text_prompt(ids(f"a\n{line[:at]}", f"{line[at:]}\nb")) is None


@given(CHARACTERS, st.sampled_from(MARKERS), CHARACTERS)
def test_text_prompt_never_contains_markers(one: str, marker: str, two: str) -> None:
    prompt = text_prompt(ids(f"{one}{marker}{two}\n{two}", one))
    if prompt:
        assert not any(text.strip() in prompt.before + (prompt.after or "") for text in MARKERS)


@given(st.text("abc =()<|>\n"))
def test_text_prompt_keeps_code_without_markers(text: str) -> None:
    prompt = text_prompt(ids(text))
    assert prompt == TextPrompt(text, None) or has_control_token(text)


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"[" * 100_000, b'{"tokens": "1"}', b'{"tokens": [1.5]}', b"\xff", b"9" * 5000]
)
def test_read_json_never_quotes_invalid_data(data: bytes) -> None:
    with pytest.raises(InvalidAnswerError) as strange:
        read_json(data, dict[str, list[int]])
    assert data.decode("latin1") not in str(strange.value) or not data


def test_read_json_accepts_nan() -> None:
    assert read_json(b"[NaN]", list[float])[0] != 0
