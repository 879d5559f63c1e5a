"""Loads the engine for a remote server from the settings."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from jupyter_turbopilot.engine.vocabulary import CHARACTERS, CodePoints
from jupyter_turbopilot.plugins.remote import errors, provider
from jupyter_turbopilot.plugins.remote.address import read_addresses, read_key
from jupyter_turbopilot.plugins.remote.detection import (
    TextForm,
    capabilities_of,
    check_vocabulary,
    choose_dialect,
    identify,
    text_form,
)
from jupyter_turbopilot.plugins.remote.engine import Connections, RemoteEngine
from jupyter_turbopilot.plugins.remote.errors import AskedToWaitError, DiedError, InvalidAnswerError
from jupyter_turbopilot.plugins.remote.exchange import NO_TIME, Exchange, unreachable
from jupyter_turbopilot.plugins.remote.http_client import HttpClient
from jupyter_turbopilot.plugins.remote.settings import TurbopilotRemote
from jupyter_turbopilot.plugins.remote.text_prompt import Spellings
from jupyter_turbopilot.protocol.errors import EngineGoneError, ModelRefusedError
from jupyter_turbopilot.util.failures import on_failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence

    from jupyter_turbopilot.engine.base import Capabilities
    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.plugins.remote.address import Address
    from jupyter_turbopilot.plugins.remote.detection import AnySide
    from jupyter_turbopilot.plugins.remote.dialect import Dialect
    from jupyter_turbopilot.plugins.remote.remote_server import RemoteServer
    from jupyter_turbopilot.settings.config import Turbopilot

T = TypeVar("T")
ROUND_TRIPS = 4  # the shortest counts, because the first one includes connecting
CONTEXT_SIZE = 4096  # tokens, if neither the server nor a setting defines it


def check(settings: Turbopilot) -> None:
    """Raise ModelRefusedError for invalid settings, without sending requests."""
    _keys(settings.section(TurbopilotRemote))


def _keys(remote: TurbopilotRemote) -> list[tuple[Address, str]]:
    """Return the addresses with their keys."""
    found = read_addresses(remote.urls, allow_http=remote.allow_http)
    if any(address.provider for address in found):
        provider.ensure_installed()
        if not remote.model and any(not address.root for address in found):
            raise ModelRefusedError(
                "A provider needs a model. Set c.TurbopilotRemote.model to owner/repository.",
                code="far_model",
            )
    in_hub = remote.auth == "jupyterhub"
    return [
        (address, read_key(remote.key_file, provider=bool(address.provider), jupyterhub=in_hub))
        for address in found
    ]


def _sides(remote: TurbopilotRemote) -> list[AnySide]:
    return [
        provider.ProviderClient(address, key, remote.model, remote.timeout)
        if address.provider
        else HttpClient(address, key, remote.timeout, in_hub=remote.auth == "jupyterhub")
        for address, key in _keys(remote)
    ]


def remote_server(settings: Turbopilot, cancel: Cancel) -> tuple[RemoteServer, float]:
    """Return the description of the remote server, and its round-trip time in seconds."""
    remote = settings.section(TurbopilotRemote)
    sides = _sides(remote)
    with closing(Connections(sides)) as connections:
        return connections.wait_for(_first(sides, partial(_measure, remote)), cancel)[1]


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
    sides = _sides(remote)
    connections = Connections(sides)
    survey = partial(_survey, settings, vocabulary_of, Spellings(markers))

    async def connect() -> RemoteEngine:
        number, (peer, vocabulary, dialect, capabilities) = await _first(sides, survey)
        sides[number].known = True
        exchange = Exchange(sides, peer, dialect, partial(identify, wanted=remote.model), remote.timeout)
        for failed in exchange.targets[:number]:
            failed.rest(asyncio.get_running_loop().time())
        return RemoteEngine(peer, vocabulary, capabilities, dialect, exchange, connections)

    with on_failure(connections.close):
        return connections.wait_for(connect(), cancel)


async def _first(sides: Sequence[AnySide], work: Callable[[AnySide], Awaitable[T]]) -> tuple[int, T]:
    """Return the number of the first address for which `work` succeeds, and its result."""
    reason: object = NO_TIME
    gone: EngineGoneError | None = None  # the error of the first server that answers but is not ready
    for number, side in enumerate(sides):
        try:
            return number, await work(side)
        except DiedError as error:
            reason = error
        except EngineGoneError as error:
            gone = gone or error
    raise gone or unreachable(sides, reason)


@asynccontextmanager
async def _translated_errors(side: AnySide, seconds: float) -> AsyncIterator[None]:
    """Limit the time of the block, and convert its exceptions to errors for the user."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise DiedError(NO_TIME) from None
    except InvalidAnswerError as error:
        raise errors.strange(side.address.host, error) from None
    except AskedToWaitError as asked:
        raise EngineGoneError(asked.error.message, after=asked.after or 0.0) from None


async def _measure(remote: TurbopilotRemote, side: AnySide) -> tuple[RemoteServer, float]:
    took = []
    for _ in range(ROUND_TRIPS):
        begun = time.perf_counter()
        async with _translated_errors(side, remote.timeout):
            peer = await identify(side, remote.model)
        took.append(time.perf_counter() - begun)
    return peer, min(took)


async def _survey(
    settings: Turbopilot,
    vocabulary_of: Callable[[str], Vocabulary | None],
    spellings: Spellings,
    side: AnySide,
) -> tuple[RemoteServer, Vocabulary, Dialect, Capabilities]:
    """Determine the dialect and the capabilities of a remote server."""
    remote = settings.section(TurbopilotRemote)
    async with _translated_errors(side, remote.timeout):
        peer = await identify(side, remote.model)
    size = peer.context_size or settings.context_size or CONTEXT_SIZE
    # Loading a file is slow. The thread has no other work yet, and the server's timeout does not include it.
    vocabulary = vocabulary_of(peer.model)
    form = None
    async with _translated_errors(side, remote.timeout):
        if vocabulary and isinstance(side, HttpClient):
            await check_vocabulary(side, peer, vocabulary)
            dialect = choose_dialect(peer, vocabulary, TextForm(), spellings)
        else:
            form = await text_form(side, peer, remote.fim)
            dialect = choose_dialect(peer, None, form, spellings)
            vocabulary, size = CodePoints(fills=form.hole != "none"), size * CHARACTERS
    peer = replace(peer, context_size=size)
    return peer, vocabulary, dialect, capabilities_of(peer, dialect, remote, form)
