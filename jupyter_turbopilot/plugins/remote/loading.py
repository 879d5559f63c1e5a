"""Connects to a remote server: determines its dialect and its capabilities."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import structs

from jupyter_turbopilot.engine.base import Capabilities
from jupyter_turbopilot.engine.vocabulary import CHARACTERS, vocabulary_digest
from jupyter_turbopilot.plugins.remote.address import read_address, read_key
from jupyter_turbopilot.plugins.remote.dialect import read_json
from jupyter_turbopilot.plugins.remote.engine import Connections, RemoteEngine
from jupyter_turbopilot.plugins.remote.errors import (
    AskedToWaitError,
    DiedError,
    InvalidAnswerError,
    RemoteRefusalError,
)
from jupyter_turbopilot.plugins.remote.exchange import Exchange, limited, unreachable
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
    from collections.abc import Callable, Iterator

    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.plugins.remote.dialect import Dialect, EventContent
    from jupyter_turbopilot.plugins.remote.remote_server import RemoteServer
    from jupyter_turbopilot.settings.config import Turbopilot

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


def client_for(settings: Turbopilot) -> HttpClient:
    """Return a client for the server; raise ModelRefusedError for invalid settings. Send nothing."""
    remote = settings.section(TurbopilotRemote)
    address = read_address(remote.url, allow_http=remote.allow_http)
    in_hub, by_provider = remote.auth == "jupyterhub", bool(address.provider)
    if by_provider and not remote.model:
        raise ModelRefusedError(
            "A provider needs a model. Set c.TurbopilotRemote.model to owner/repository.",
            code="remote_model",
        )
    key = read_key(remote.key_file, provider=by_provider, jupyterhub=in_hub)
    return HttpClient(address, key, remote.timeout, in_hub=in_hub)


def load(
    settings: Turbopilot,
    cancel: Cancel,
    vocabulary_of: Callable[[str], Vocabulary | None],
) -> RemoteEngine:
    """Connect to the remote server.

    `vocabulary_of` loads its model's vocabulary; if that is None, prompts are sent as text.
    """
    remote = settings.section(TurbopilotRemote)
    client = client_for(settings)
    vocabulary_of("")  # a configured vocabulary may be missing: check before connecting
    connections = Connections(client)

    async def connect() -> RemoteEngine:
        try:
            async with limited(client, remote.timeout):
                server = await identify(client, remote.model)
            # Loading a file is slow. The thread has no other work yet, and the server's time does not run.
            known = None if server.kind is Kind.PROVIDER else vocabulary_of(server.model)
            async with limited(client, remote.timeout):
                if known:
                    await check_vocabulary(client, server, known)
                    dialect = choose_dialect(server, known)
                else:
                    dialect = await choose_text_dialect(client, server, remote.fim)
        except DiedError as error:
            raise unreachable(client, error) from None
        except AskedToWaitError as asked:
            raise EngineGoneError(asked.error.message, after=asked.after or 0.0) from None
        client.known = True
        exchange = Exchange(client, server, dialect, partial(identify, wanted=remote.model), remote.timeout)
        size = max(0, server.context_size) or settings.context_size or CONTEXT_SIZE
        if not known:
            size *= CHARACTERS
        vocabulary = known or CodePoints(fills=dialect.fills)
        server = structs.replace(server, context_size=size)
        capabilities = capabilities_of(server, dialect, remote)
        return RemoteEngine(server, vocabulary, capabilities, dialect, exchange, connections)

    with on_failure(connections.close):
        return connections.wait_for(connect(), cancel)


class _Tokenized(msgspec.Struct, frozen=True):
    tokens: list[int]


async def check_vocabulary(client: HttpClient, server: RemoteServer, vocabulary: Vocabulary) -> None:
    """Raise ModelRefusedError if a server has another vocabulary, or does not send token ids."""
    another = ModelRefusedError(
        f"{client.address.host} has another vocabulary than c.TurbopilotRemote.vocabulary, or does not send "
        "token ids. Set it to the vocabulary of the server's model, or to none to send prompts as text.",
        code="vocabulary",
    )
    if server.vocabulary:
        if server.vocabulary != vocabulary_digest(vocabulary):
            raise another
        return
    for text in AWKWARD:
        body: dict[str, Any] = {"content": text, "add_special": False, "parse_special": False}
        if server.kind in {Kind.VLLM, Kind.OPENAI}:
            body = {"model": server.model, "prompt": text, "add_special_tokens": False}
        data = await client.fetch("/tokenize", body)
        if data is None:
            break
        if read_json(data, _Tokenized).tokens != vocabulary.tokenize(text):
            raise another
    if server.kind is Kind.OPENAI:
        try:
            await _try(client, choose_dialect(server, vocabulary), vocabulary.tokenize(BEFORE))
        except (RemoteRefusalError, InvalidAnswerError):
            raise another from None


async def _try(client: HttpClient, dialect: Dialect, prompt: list[int]) -> EventContent | None:
    """Generate a token, and return the first event that contains tokens."""
    if request := dialect.request(EngineRequest(prompt, Sampling(max_tokens=1))):
        async with aclosing(client.stream(request, dialect)) as events:
            async for received in events:
                if received.tokens:
                    return received
    return None


def choose_dialect(server: RemoteServer, vocabulary: Vocabulary) -> Dialect:
    """Return the dialect for token ids."""
    if server.kind is Kind.LLAMA:
        return LlamaDialect(vocabulary)
    return OpenAIDialect(vocabulary, server=server)


async def choose_text_dialect(client: HttpClient, server: RemoteServer, fim: str) -> Dialect:
    """Return the first dialect for text that the server accepts; `fim` is the setting."""
    first, *others = text_dialects(server, fim)
    if server.kind is Kind.OURS:
        return first
    refusal: Exception
    for dialect in (first, *others):
        prompt = [*map(ord, BEFORE)]
        if dialect.fills:
            prompt = [PREFIX, *prompt, SUFFIX, *map(ord, AFTER), MIDDLE]
        try:
            received = await _try(client, dialect, prompt)
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


def text_dialects(server: RemoteServer, fim: str) -> Iterator[Dialect]:
    """Return the dialects for text that may suit a server, the best first."""
    auto = {Kind.LLAMA: ["infill", "none"], Kind.PROVIDER: ["none"]}.get(server.kind, ["suffix", "none"])
    for logprobs in (True, False):
        for hole in auto if fim == "auto" else [fim]:
            if hole == "infill" or (hole == "none" and server.kind is Kind.LLAMA):
                yield LlamaDialect(None, fills=hole != "none")
            else:
                asks = logprobs and server.logprobs
                yield OpenAIDialect(None, hole != "none", asks, server=server)


def capabilities_of(server: RemoteServer, dialect: Dialect, remote: TurbopilotRemote) -> Capabilities:
    """Return the capabilities of a server in a dialect."""
    by_ids = dialect.vocabulary is not None
    return Capabilities(
        slots=remote.slots or max(0, server.slots) or DEFAULT_SLOTS,
        prefix_constraints=by_ids and (server.prefix_constraints or server.kind is Kind.LLAMA),
        logprobs=server.logprobs if by_ids else dialect.logprobs,
        top=(max(0, server.top) or TOPS.get(server.kind, 0)) if by_ids else 0,
        prefetch=by_ids and server.prefetch,  # servers that receive text may charge for each token
        samplers=dialect.samplers.intersection(server.samplers),
        remote=True,
        persistent=server.persistent,
    )
