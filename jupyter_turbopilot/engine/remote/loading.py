"""From the settings to an engine that has a server elsewhere write."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from jupyter_turbopilot.engine.remote import errors, provider
from jupyter_turbopilot.engine.remote.address import read_addresses, read_key, take_from_environment
from jupyter_turbopilot.engine.remote.completions import Spellings
from jupyter_turbopilot.engine.remote.detection import by_ids, by_text, compare, detect, text_form
from jupyter_turbopilot.engine.remote.engine import Connections, RemoteEngine
from jupyter_turbopilot.engine.remote.errors import AskedToWaitError, DiedError, InvalidAnswerError
from jupyter_turbopilot.engine.remote.exchange import NO_TIME, Exchange
from jupyter_turbopilot.engine.remote.http_client import HttpClient
from jupyter_turbopilot.engine.vocabulary import CHARACTERS, CodePoints
from jupyter_turbopilot.errors import EngineGoneError, ModelRefusedError, TurbopilotError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence

    from jupyter_turbopilot.config import Turbopilot, TurbopilotRemote
    from jupyter_turbopilot.engine.base import Capabilities
    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.remote.address import Address
    from jupyter_turbopilot.engine.remote.detection import AnySide
    from jupyter_turbopilot.engine.remote.dialect import Dialect
    from jupyter_turbopilot.engine.remote.remote_server import RemoteServer
    from jupyter_turbopilot.engine.vocabulary import Vocabulary

T = TypeVar("T")
ROUND_TRIPS = 4  # of which the shortest counts: the first one opens the connection
CONTEXT_SIZE = 4096  # tokens, where neither the far side nor a setting says


def take_key(settings: Turbopilot) -> None:
    """Take the key out of the environment, which kernels inherit."""
    take_from_environment(provider=any(url.startswith("hf:") for url in settings.remote.urls))


def address(settings: Turbopilot) -> str:
    """Return where code goes, as it may be shown; nothing where the settings make no sense."""
    remote = settings.remote
    try:
        return ", ".join(one.host for one in read_addresses(remote.urls, plain_http=remote.plain_http))
    except TurbopilotError:
        return ""


def check(settings: Turbopilot) -> None:
    """Refuse settings that no load could make sense of. Nobody is asked."""
    _keys(settings.remote)


def _keys(remote: TurbopilotRemote) -> list[tuple[Address, str]]:
    """Return the addresses, each with its key."""
    found = read_addresses(remote.urls, plain_http=remote.plain_http)
    if any(address.provider for address in found):
        provider.ensure_installed()
        if not remote.model and any(not address.root for address in found):
            raise ModelRefusedError(
                "Name the provider's model in c.TurbopilotRemote.model, as owner/repository.",
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
    """Ask the far side who it is; return that, and how many seconds an answer takes on an open connection."""
    sides = _sides(settings.remote)
    connections = Connections(sides)
    try:
        asked = _first(sides, partial(_ask_again, settings.remote))
        return connections.wait_for(asked, cancel)[1]
    finally:
        connections.close()


def load(
    settings: Turbopilot,
    cancel: Cancel,
    vocabulary_of: Callable[[str], Vocabulary | None],
    markers: Collection[str] = (),
) -> RemoteEngine:
    """Connect to the far side. `vocabulary_of` loads its model's; without it prompts are text.

    `markers`: how the fill-in-the-middle markers of known models are spelt; text with them is not sent.
    """
    remote, sides = settings.remote, _sides(settings.remote)
    connections = Connections(sides)
    survey = partial(_survey, settings, vocabulary_of, Spellings(markers))

    async def connect() -> RemoteEngine:
        number, (far, vocabulary, dialect, capabilities) = await _first(sides, survey)
        sides[number].known = True
        exchange = Exchange(sides, far, dialect, partial(detect, wanted=remote.model), remote.timeout)
        for failed in exchange.endpoints[:number]:
            failed.rest(asyncio.get_running_loop().time())
        return RemoteEngine(far, vocabulary, capabilities, dialect, exchange, connections)

    try:
        return connections.wait_for(connect(), cancel)
    except BaseException:
        connections.close()
        raise


async def _first(sides: Sequence[AnySide], work: Callable[[AnySide], Awaitable[T]]) -> tuple[int, T]:
    """Return the number of the first address that some work can be done with, and what came of it."""
    reason: object = NO_TIME
    gone: EngineGoneError | None = None  # the first that answered, but cannot write now
    for number, side in enumerate(sides):
        try:
            return number, await work(side)
        except DiedError as error:
            reason = error
        except EngineGoneError as error:
            gone = gone or error
    raise gone or errors.gone([side.address.host for side in sides], reason)


@asynccontextmanager
async def _in_words(side: AnySide, seconds: float) -> AsyncIterator[None]:
    """Give a far side so many seconds, and say what went wrong with it."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise DiedError(NO_TIME) from None
    except InvalidAnswerError as error:
        raise errors.strange(side.address.host, error) from None
    except AskedToWaitError as asked:
        raise EngineGoneError(asked.error.message, after=asked.after or 0.0) from None


async def _ask_who(remote: TurbopilotRemote, side: AnySide) -> RemoteServer:
    async with _in_words(side, remote.timeout):
        return await detect(side, remote.model)


async def _ask_again(remote: TurbopilotRemote, side: AnySide) -> tuple[RemoteServer, float]:
    took = []
    for _ in range(ROUND_TRIPS):
        begun = time.perf_counter()
        far = await _ask_who(remote, side)
        took.append(time.perf_counter() - begun)
    return far, min(took)


async def _survey(
    settings: Turbopilot,
    vocabulary_of: Callable[[str], Vocabulary | None],
    spellings: Spellings,
    side: AnySide,
) -> tuple[RemoteServer, Vocabulary, Dialect, Capabilities]:
    """Find out how to speak to a far side."""
    remote = settings.remote
    far = await _ask_who(remote, side)
    size = far.context_size or settings.context_size or CONTEXT_SIZE
    # Reading a file takes a while, but nobody else uses this thread yet; it is not the far side's time.
    vocabulary = vocabulary_of(far.model)
    async with _in_words(side, remote.timeout):
        if vocabulary and isinstance(side, HttpClient):
            await compare(side, far, vocabulary)
            dialect, capabilities = by_ids(far, vocabulary, remote)
        else:
            form = await text_form(side, far, remote.fim)
            dialect, capabilities = by_text(far, form, spellings, remote)
            vocabulary, size = CodePoints(fills=form.hole != "none"), size * CHARACTERS
    return replace(far, context_size=size), vocabulary, dialect, capabilities
