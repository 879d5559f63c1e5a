"""Asking a far side, at a load, what it is and what it takes."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_turbopilot.engine.remote.by_ids import ROUTE, ByIds
from jupyter_turbopilot.engine.remote.by_text import ByText
from jupyter_turbopilot.engine.remote.far_side import (
    FarSide,
    Kind,
    read_json,
    read_models,
    read_properties,
    read_tokens,
)
from jupyter_turbopilot.engine.remote.http_side import HttpSide
from jupyter_turbopilot.engine.remote.text_prompt import Spellings
from jupyter_turbopilot.engine.remote.words import FarRefusalError, StrangeAnswerError
from jupyter_turbopilot.engine.vocabulary import vocabulary_digest
from jupyter_turbopilot.errors import ModelRefusedError
from jupyter_turbopilot.generation import Ask, Sampling

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.remote.dialect import Dialect, Heard
    from jupyter_turbopilot.engine.remote.provider import ProviderSide
    from jupyter_turbopilot.engine.vocabulary import Vocabulary

    AnySide = HttpSide | ProviderSide

# Texts that vocabularies cut in different ways, none with the spelling of a control token.
AWKWARD = (
    "def f(x):\n    return x + 1\n",
    "\t\tif a  ==   b:\n\n\n        pass  # done",
    "1234567 3.14e-10 0xdeadbeef 1_000",
    "naïve Straße Ёлка 漢字かな 한국어 العربية",
    "👩‍👩‍👧 e\u0301 \u00a0\u2028\ufeff\x7f",
    "don't HTTPResponse snake_case_name camelCaseName !== ->>",
)
PROBE = "x = "
NOT_ACCEPTED = frozenset({400, 422, 500, 501})


async def look(side: AnySide, wanted: str) -> FarSide:
    """Ask who a far side is."""
    if not isinstance(side, HttpSide):
        return FarSide(Kind.PROVIDER, wanted or side.address.host)
    data = await side.get("/v1/models")
    if data is None:
        return FarSide(Kind.OPENAI, wanted)
    far = read_models(data, wanted, side.address.host)
    if far.kind is Kind.LLAMA and (properties := await side.get("/props")):
        return read_properties(properties, far)
    return far


async def compare(side: HttpSide, far: FarSide, vocabulary: Vocabulary) -> None:
    """Refuse a far side that has another vocabulary, or does not tell ids."""
    if far.vocabulary:
        if far.vocabulary != vocabulary_digest(vocabulary):
            raise _another_vocabulary(side.address.host)
        return
    for text in AWKWARD:
        body: dict[str, Any] = {"content": text, "add_special": False, "parse_special": False}
        if far.kind in {Kind.VLLM, Kind.OPENAI}:
            body = {"model": far.model, "prompt": text, "add_special_tokens": False}
        data = await side.post("/tokenize", body)
        if data is None:
            break
        if read_tokens(data) != vocabulary.tokenize(text):
            raise _another_vocabulary(side.address.host)
    if far.kind is Kind.OPENAI:
        ask = Ask(vocabulary.tokenize(PROBE), Sampling(max_tokens=1))
        try:
            await _first(side, ByIds(far, vocabulary), ask)
        except (FarRefusalError, StrangeAnswerError):
            raise _another_vocabulary(side.address.host) from None


def _another_vocabulary(host: str) -> ModelRefusedError:
    return ModelRefusedError(
        f"{host} has another vocabulary than c.TurbopilotRemote.vocabulary says, or does not tell token ids. "
        "Name its model's vocabulary there, or set it to none: prompts are then sent as text.",
        code="vocabulary",
    )


async def _first(side: AnySide, dialect: Dialect, ask: Ask) -> Heard | None:
    """Return the first words of an answer."""
    request = dialect.request(ask)
    if request is None:
        return None
    async with aclosing(side.stream(request, dialect)) as events:
        async for heard in events:
            if heard.tokens:
                return heard
    return None


@dataclass(frozen=True)
class TextForm:
    """How a far side takes text."""

    hole: str = "none"  # suffix, infill or none
    chances: bool = False


async def text_form(side: AnySide, far: FarSide, hole: str) -> TextForm:
    """Find out how text is sent. `hole`: how one with a hole is, or auto."""
    if not isinstance(side, HttpSide):
        return TextForm()
    if far.kind is Kind.LLAMA:
        return TextForm(await _infill(side) if hole == "auto" else hole, chances=True)
    if far.kind is Kind.OURS:
        return TextForm("suffix" if hole == "auto" else hole, far.chances)
    chances = await _tells_chances(side, far)
    if hole == "auto":
        hole = "suffix" if far.kind is Kind.OPENAI and await _takes_suffix(side, far) else "none"
    return TextForm(hole, chances)


async def _infill(side: HttpSide) -> str:
    """Ask whether llama-server's model can fill in."""
    try:
        body = {"input_prefix": PROBE, "input_suffix": "\n", "n_predict": 1}
        return "infill" if await side.post("/infill", body) is not None else "none"
    except FarRefusalError as error:
        if error.answered not in NOT_ACCEPTED:
            raise
        return "none"


async def _tells_chances(side: HttpSide, far: FarSide) -> bool:
    """Have a token written: is it told how probable it was?"""
    ask = Ask([*map(ord, PROBE)], Sampling(max_tokens=1))
    try:
        heard = await _first(side, ByText(far.model, Spellings(), chances=True), ask)
        return heard is not None and heard.tokens[0].probability > 0
    except FarRefusalError as error:
        if error.answered not in NOT_ACCEPTED:
            raise
    await _first(side, ByText(far.model, Spellings(), chances=False), ask)
    return False


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int = 0


class _Answer(msgspec.Struct, frozen=True):
    usage: _Usage | None = None


async def _takes_suffix(side: HttpSide, far: FarSide) -> bool:
    """Ask whether a suffix is read. Some servers take it and ignore it: the prompt is then no longer."""
    body = {"model": far.model, "prompt": PROBE, "max_tokens": 1, "temperature": 0}
    try:
        counts = []
        for suffix in ({}, {"suffix": "\nprint(x + 1)\n"}):
            data = await side.post(ROUTE, body | suffix)
            usage = read_json(data or b"{}", _Answer).usage
            counts.append(usage.prompt_tokens if usage else 0)
    except FarRefusalError as error:
        if error.answered not in NOT_ACCEPTED:
            raise
        return False
    return counts[0] != counts[1] or not counts[1]
