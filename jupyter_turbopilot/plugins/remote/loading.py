"""Connects to a remote server: determines its dialect and its capabilities."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import structs

from jupyter_turbopilot.engine.base import Capabilities
from jupyter_turbopilot.engine.vocabulary import CHARACTERS, vocabulary_digest
from jupyter_turbopilot.plugins.remote.address import read_addresses, read_key
from jupyter_turbopilot.plugins.remote.dialect import Spellings, read_json
from jupyter_turbopilot.plugins.remote.engine import Connections, RemoteEngine
from jupyter_turbopilot.plugins.remote.errors import (
    AskedToWaitError,
    DiedError,
    InvalidAnswerError,
    RemoteRefusalError,
)
from jupyter_turbopilot.plugins.remote.exchange import NO_TIME, Exchange, limited, unreachable
from jupyter_turbopilot.plugins.remote.http_client import HttpClient
from jupyter_turbopilot.plugins.remote.llama_dialect import LlamaDialect
from jupyter_turbopilot.plugins.remote.openai_dialect import OpenAIDialect
from jupyter_turbopilot.plugins.remote.remote_server import Kind, identify
from jupyter_turbopilot.plugins.remote.settings import TurbopilotRemote
from jupyter_turbopilot.plugins.remote.vocabulary import MIDDLE, PREFIX, SUFFIX, CodePoints
from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling
from jupyter_turbopilot.protocol.errors import EngineGoneError, ModelRefusedError
from jupyter_turbopilot.util.failures import on_failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence

    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.plugins.remote.dialect import Dialect, EventContent
    from jupyter_turbopilot.plugins.remote.remote_server import RemoteServer
    from jupyter_turbopilot.settings.config import Turbopilot

T = TypeVar("T")
CONTEXT_SIZE = 4096  # tokens, if neither the server nor a setting defines it
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


def clients(settings: Turbopilot) -> list[HttpClient]:
    """Return a client for each address; raise ModelRefusedError for invalid settings. Send nothing."""
    remote = settings.section(TurbopilotRemote)
    found = read_addresses(remote.urls, allow_http=remote.allow_http)
    in_hub, by_provider = remote.auth == "jupyterhub", bool(found[0].provider)
    if by_provider and not remote.model:
        raise ModelRefusedError(
            "A provider needs a model. Set c.TurbopilotRemote.model to owner/repository.", code="far_model"
        )
    key = read_key(remote.key_file, provider=by_provider, jupyterhub=in_hub)
    return [HttpClient(address, key, remote.timeout, in_hub=in_hub) for address in found]


def load(
    settings: Turbopilot,
    cancel: Cancel,
    vocabulary_of: Callable[[str], Vocabulary | None],
    markers: Collection[str] = (),
) -> RemoteEngine:
    """Connect to the remote server.

    `vocabulary_of` loads its model's vocabulary; if that is None, prompts are sent as text. `markers` are the
    fill-in-the-middle markers of known models; lines with them are not sent.
    """
    remote = settings.section(TurbopilotRemote)
    sides = clients(settings)
    vocabulary_of("")  # a configured vocabulary may be missing: check before connecting
    connections = Connections(sides)

    async def survey(side: HttpClient) -> tuple[RemoteServer, Dialect]:
        async with limited(side, remote.timeout):
            peer = await identify(side, remote.model)
        # Loading a file is slow. The thread has no other work yet, and the server's time does not run.
        vocabulary = None if peer.kind is Kind.PROVIDER else vocabulary_of(peer.model)
        async with limited(side, remote.timeout):
            if vocabulary:
                await check_vocabulary(side, peer, vocabulary)
                return peer, choose_dialect(peer, vocabulary, Spellings(markers))
            return peer, await choose_text_dialect(side, peer, remote.fim, Spellings(markers))

    async def connect() -> RemoteEngine:
        number, (peer, dialect) = await _first(sides, survey)
        sides[number].known = True
        exchange = Exchange(sides, peer, dialect, partial(identify, wanted=remote.model), remote.timeout)
        for failed in exchange.targets[:number]:
            failed.rest(asyncio.get_running_loop().time())
        size = max(0, peer.context_size) or settings.context_size or CONTEXT_SIZE
        if dialect.vocabulary is None:
            size *= CHARACTERS
        vocabulary = dialect.vocabulary or CodePoints(fills=dialect.fills)
        peer = structs.replace(peer, context_size=size)
        capabilities = capabilities_of(peer, dialect, remote)
        return RemoteEngine(peer, vocabulary, capabilities, dialect, exchange, connections)

    with on_failure(connections.close):
        return connections.wait_for(connect(), cancel)


async def _first(sides: Sequence[HttpClient], work: Callable[[HttpClient], Awaitable[T]]) -> tuple[int, T]:
    """Return the number of the first address for which `work` succeeds, and its result."""
    reason: object = NO_TIME
    gone: EngineGoneError | None = None  # the error of the first server that answers but is not ready
    for number, side in enumerate(sides):
        try:
            return number, await work(side)
        except DiedError as error:
            reason = error
        except AskedToWaitError as asked:
            gone = gone or EngineGoneError(asked.error.message, after=asked.after or 0.0)
        except EngineGoneError as error:
            gone = gone or error
    raise gone or unreachable(sides, reason)


class _Tokenized(msgspec.Struct, frozen=True):
    tokens: list[int]


async def check_vocabulary(side: HttpClient, peer: RemoteServer, vocabulary: Vocabulary) -> None:
    """Raise ModelRefusedError if a server has another vocabulary, or does not send token ids."""
    another = ModelRefusedError(
        f"{side.address.host} has another vocabulary than c.TurbopilotRemote.vocabulary, or does not send "
        "token ids. Set it to the vocabulary of the server's model, or to none to send prompts as text.",
        code="vocabulary",
    )
    if peer.vocabulary:
        if peer.vocabulary != vocabulary_digest(vocabulary):
            raise another
        return
    for text in AWKWARD:
        body: dict[str, Any] = {"content": text, "add_special": False, "parse_special": False}
        if peer.kind in {Kind.VLLM, Kind.OPENAI}:
            body = {"model": peer.model, "prompt": text, "add_special_tokens": False}
        data = await side.fetch("/tokenize", body)
        if data is None:
            break
        if read_json(data, _Tokenized).tokens != vocabulary.tokenize(text):
            raise another
    if peer.kind is Kind.OPENAI:
        try:
            await _try(side, choose_dialect(peer, vocabulary, Spellings()), vocabulary.tokenize(BEFORE))
        except (RemoteRefusalError, InvalidAnswerError):
            raise another from None


async def _try(side: HttpClient, dialect: Dialect, prompt: list[int]) -> EventContent | None:
    """Generate a token, and return the first event that contains tokens."""
    if request := dialect.request(EngineRequest(prompt, Sampling(max_tokens=1))):
        async with aclosing(side.stream(request, dialect)) as events:
            async for received in events:
                if received.tokens:
                    return received
    return None


def choose_dialect(peer: RemoteServer, vocabulary: Vocabulary, spellings: Spellings) -> Dialect:
    """Return the dialect for token ids."""
    if peer.kind is Kind.LLAMA:
        return LlamaDialect(vocabulary, spellings)
    return OpenAIDialect(peer, vocabulary, spellings)


async def choose_text_dialect(
    side: HttpClient, peer: RemoteServer, fim: str, spellings: Spellings
) -> Dialect:
    """Return the first dialect for text that the server accepts; `fim` is the setting."""
    first, *others = text_dialects(peer, fim, spellings)
    if peer.kind is Kind.OURS:
        return first
    refusal: Exception
    for dialect in (first, *others):
        prompt = [*map(ord, BEFORE)]
        if dialect.fills:
            prompt = [PREFIX, *prompt, SUFFIX, *map(ord, AFTER), MIDDLE]
        try:
            received = await _try(side, dialect, prompt)
        except InvalidAnswerError as error:
            refusal = error
        except RemoteRefusalError as error:
            if error.answered not in NOT_ACCEPTED:
                raise
            refusal = error
        else:
            dialect.logprobs = received is None or received.tokens[0].probability > 0
            return dialect
    raise refusal


def text_dialects(peer: RemoteServer, fim: str, spellings: Spellings) -> Iterator[Dialect]:
    """Return the dialects for text that may suit a server, the best first."""
    auto = {Kind.LLAMA: ["infill", "none"], Kind.PROVIDER: ["none"]}.get(peer.kind, ["suffix", "none"])
    for logprobs in (True, False):
        for hole in auto if fim == "auto" else [fim]:
            if hole == "infill" or (hole == "none" and peer.kind is Kind.LLAMA):
                yield LlamaDialect(None, spellings, fills=hole != "none")
            else:
                asks = logprobs and peer.logprobs
                yield OpenAIDialect(peer, None, spellings, fills=hole != "none", logprobs=asks)


def capabilities_of(peer: RemoteServer, dialect: Dialect, remote: TurbopilotRemote) -> Capabilities:
    """Return the capabilities of a server in a dialect."""
    by_ids = dialect.vocabulary is not None
    return Capabilities(
        slots=remote.slots or max(0, peer.slots) or DEFAULT_SLOTS,
        prefix_constraints=by_ids and (peer.prefix_constraints or peer.kind is Kind.LLAMA),
        logprobs=peer.logprobs if by_ids else dialect.logprobs,
        top=(max(0, peer.top) or TOPS.get(peer.kind, 0)) if by_ids else 0,
        prefetch=peer.prefetch and remote.prefetch != "no" if by_ids else remote.prefetch == "yes",
        samplers=dialect.samplers & peer.samplers,
        remote=True,
        persistent=peer.persistent,
    )
