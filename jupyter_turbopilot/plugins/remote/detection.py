"""Determines the software of a remote server, its dialect and its capabilities."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_turbopilot.engine.base import Capabilities
from jupyter_turbopilot.engine.vocabulary import MIDDLE, PREFIX, SUFFIX, vocabulary_digest
from jupyter_turbopilot.plugins.remote import provider
from jupyter_turbopilot.plugins.remote.errors import InvalidAnswerError, RemoteRefusalError
from jupyter_turbopilot.plugins.remote.http_client import HttpClient
from jupyter_turbopilot.plugins.remote.llama_dialect import LlamaDialect
from jupyter_turbopilot.plugins.remote.openai_dialect import OpenAIDialect
from jupyter_turbopilot.plugins.remote.remote_server import (
    Kind,
    RemoteServer,
    read_json,
    read_models,
    read_properties,
)
from jupyter_turbopilot.plugins.remote.text_prompt import Spellings
from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling
from jupyter_turbopilot.protocol.errors import ModelRefusedError

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.plugins.remote.dialect import Dialect, EventContent
    from jupyter_turbopilot.plugins.remote.provider import ProviderClient
    from jupyter_turbopilot.plugins.remote.settings import TurbopilotRemote

    AnySide = HttpClient | ProviderClient

DEFAULT_SLOTS = 4  # concurrent requests to a server that does not report its slots
TOPS = {Kind.LLAMA: 100, Kind.VLLM: 20, Kind.OPENAI: 5}  # the maximum number of top logprobs, with ids
# Vocabularies tokenize these texts differently. None contains a control token.
AWKWARD = (
    "def f(x):\n    return x + 1\n",
    "\t\tif a  ==   b:\n\n\n        pass  # done",
    "1234567 3.14e-10 0xdeadbeef 1_000",
    "naïve Straße Ёлка 漢字かな 한국어 العربية",
    "👩‍👩‍👧 e\u0301 \u00a0\u2028\ufeff\x7f",
    "don't HTTPResponse snake_case_name camelCaseName !== ->>",
)
BEFORE, AFTER = "x = ", "\nprint(x + 1)\n"
NOT_ACCEPTED = frozenset({400, 404, 422, 500, 501})


async def identify(side: AnySide, wanted: str) -> RemoteServer:
    """Request the description of a remote server."""
    if not isinstance(side, HttpClient):
        return RemoteServer(Kind.PROVIDER, wanted or side.address.host)
    data = await side.fetch("/v1/models")
    if data is None:
        return RemoteServer(Kind.OPENAI, wanted)
    peer = read_models(data, wanted, side.address.host)
    if peer.kind is Kind.LLAMA and (properties := await side.fetch("/props")):
        return read_properties(properties, peer)
    return peer


class _Tokenized(msgspec.Struct, frozen=True):
    tokens: list[int]


async def check_vocabulary(side: HttpClient, peer: RemoteServer, vocabulary: Vocabulary) -> None:
    """Raise ModelRefusedError if a server has another vocabulary, or does not send token ids."""
    if peer.vocabulary:
        if peer.vocabulary != vocabulary_digest(vocabulary):
            raise _another_vocabulary(side.address.host)
        return
    for text in AWKWARD:
        body: dict[str, Any] = {"content": text, "add_special": False, "parse_special": False}
        if peer.kind in {Kind.VLLM, Kind.OPENAI}:
            body = {"model": peer.model, "prompt": text, "add_special_tokens": False}
        data = await side.fetch("/tokenize", body)
        if data is None:
            break
        if read_json(data, _Tokenized).tokens != vocabulary.tokenize(text):
            raise _another_vocabulary(side.address.host)
    if peer.kind is Kind.OPENAI:
        try:
            dialect = choose_dialect(peer, vocabulary, TextForm(), Spellings())
            await _first(side, dialect, vocabulary.tokenize(BEFORE))
        except (RemoteRefusalError, InvalidAnswerError):
            raise _another_vocabulary(side.address.host) from None


def _another_vocabulary(host: str) -> ModelRefusedError:
    return ModelRefusedError(
        f"{host} has another vocabulary than c.TurbopilotRemote.vocabulary, or does not send token ids. Set "
        "it to the vocabulary of the server's model, or to none to send prompts as text.",
        code="vocabulary",
    )


async def _first(side: HttpClient, dialect: Dialect, prompt: list[int]) -> EventContent | None:
    """Return the first event of an answer that contains tokens."""
    if request := dialect.request(EngineRequest(prompt, Sampling(max_tokens=1))):
        async with aclosing(side.stream(request, dialect)) as events:
            async for received in events:
                if received.tokens:
                    return received
    return None


@dataclass(frozen=True)
class TextForm:
    """The format of text prompts for a server."""

    hole: str = "none"  # suffix, infill or none
    logprobs: bool = False


async def text_form(side: AnySide, peer: RemoteServer, hole: str) -> TextForm:
    """Return the first format that the server accepts. `hole` is the format of the suffix, or auto."""
    if not isinstance(side, HttpClient):
        return TextForm()
    holes = [hole]
    if hole == "auto":
        holes = ["infill" if peer.kind is Kind.LLAMA else "suffix", "none"]
    if peer.kind is Kind.OURS:
        return TextForm(holes[0], peer.logprobs)
    *others, last = (TextForm(hole, chances) for chances in (True, False) for hole in holes)
    for form in others:
        try:
            return await _try_form(side, peer, form)
        except RemoteRefusalError as error:
            if error.answered not in NOT_ACCEPTED:
                raise
    return await _try_form(side, peer, last)


async def _try_form(side: HttpClient, peer: RemoteServer, form: TextForm) -> TextForm:
    """Generate a token, and return the format with whether its probability is sent."""
    dialect = choose_dialect(peer, None, form, Spellings())
    prompt = [*map(ord, BEFORE)]
    if form.hole != "none":
        prompt = [PREFIX, *prompt, SUFFIX, *map(ord, AFTER), MIDDLE]
    received = await _first(side, dialect, prompt)
    return replace(form, logprobs=received is None or received.tokens[0].probability > 0)


def choose_dialect(
    peer: RemoteServer, vocabulary: Vocabulary | None, form: TextForm, spellings: Spellings
) -> Dialect:
    """Return the dialect for token ids or, without a vocabulary, for a format of text."""
    if peer.kind is Kind.PROVIDER:
        return provider.ProviderDialect(spellings)
    if (peer.kind is Kind.LLAMA and (vocabulary or form.hole == "none")) or form.hole == "infill":
        return LlamaDialect(vocabulary, spellings)
    return OpenAIDialect(peer, vocabulary, spellings, logprobs=form.logprobs)


def capabilities_of(
    peer: RemoteServer, dialect: Dialect, remote: TurbopilotRemote, form: TextForm | None = None
) -> Capabilities:
    """Return the capabilities of a server that receives token ids, or text in a format."""
    by_ids = form is None
    return Capabilities(
        slots=remote.slots or peer.slots or DEFAULT_SLOTS,
        prefix_constraints=by_ids and (peer.prefix_constraints or peer.kind is Kind.LLAMA),
        logprobs=peer.logprobs if form is None else form.logprobs,
        top=(peer.top or TOPS.get(peer.kind, 0)) if by_ids else 0,
        prefetch=peer.prefetch and remote.prefetch != "no" if by_ids else remote.prefetch == "yes",
        samplers=dialect.samplers & peer.samplers,
        remote=True,
        persistent=peer.persistent,
    )
