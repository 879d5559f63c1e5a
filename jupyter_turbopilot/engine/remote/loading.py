"""From the settings to an engine that has a server elsewhere write."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import CancelledError as Stopped
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from jupyter_turbopilot.engine.remote import provider, words
from jupyter_turbopilot.engine.remote.address import read_addresses
from jupyter_turbopilot.engine.remote.dialects import by_ids, by_text
from jupyter_turbopilot.engine.remote.engine import RemoteEngine
from jupyter_turbopilot.engine.remote.exchange import NO_TIME, Exchange
from jupyter_turbopilot.engine.remote.http_side import HttpSide
from jupyter_turbopilot.engine.remote.key import read_key, take_from_environment
from jupyter_turbopilot.engine.remote.survey import compare, look, text_form
from jupyter_turbopilot.engine.remote.text_prompt import Spellings
from jupyter_turbopilot.engine.remote.thread import Connections
from jupyter_turbopilot.engine.remote.words import AskedToWaitError, DiedError, StrangeAnswerError
from jupyter_turbopilot.engine.vocabulary import CHARACTERS, CodePoints
from jupyter_turbopilot.errors import CancelledError, EngineGoneError, ModelRefusedError, TurbopilotError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Sequence

    from jupyter_turbopilot.config import Turbopilot, TurbopilotRemote
    from jupyter_turbopilot.engine.base import Abilities
    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.remote.address import Address
    from jupyter_turbopilot.engine.remote.dialect import Dialect
    from jupyter_turbopilot.engine.remote.far_side import FarSide
    from jupyter_turbopilot.engine.remote.survey import AnySide
    from jupyter_turbopilot.engine.vocabulary import Vocabulary

T = TypeVar("T")
ROUND_TRIPS = 3  # of which the shortest counts
CONTEXT_SIZE = 4096  # tokens, where neither the far side nor a setting says


def check(settings: Turbopilot) -> None:
    """Refuse settings that no load could make sense of. Nobody is asked."""
    for address in _checked_addresses(settings.remote):
        _key(settings.remote, address)


def take_key(settings: Turbopilot) -> None:
    """Take the key out of the environment, which kernels inherit."""
    take_from_environment(provider=any(url.startswith("hf:") for url in settings.remote.urls))


def address(settings: Turbopilot) -> str:
    """Return where code goes, as it may be shown; nothing where the settings make no sense."""
    try:
        return ", ".join(address.host for address in _addresses(settings.remote))
    except TurbopilotError:
        return ""


def far_side(settings: Turbopilot, cancel: Cancel) -> tuple[FarSide, float]:
    """Ask the far side who it is; return that, and how many seconds an answer takes on an open connection."""
    sides, connections = _sides(settings.remote), Connections()
    try:
        return _wait(connections, _first(sides, partial(_ask_again, settings.remote)), cancel)[1]
    finally:
        connections.close(_close(sides))


def load(
    settings: Turbopilot,
    cancel: Cancel,
    vocabulary_of: Callable[[str], Vocabulary | None],
    markers: Collection[str] = (),
) -> RemoteEngine:
    """Connect to the far side. `vocabulary_of` loads its model's; without it prompts are text.

    `markers`: how the fill-in-the-middle markers of known models are spelt; text with them is not sent.
    """
    remote, sides, connections = settings.remote, _sides(settings.remote), Connections()
    default_size = settings.context_size or CONTEXT_SIZE
    survey = partial(_survey, remote, vocabulary_of, Spellings(markers), default_size)
    try:
        found, exchange = _wait(connections, _connect(sides, survey, remote), cancel)
        return RemoteEngine(
            found.far,
            found.vocabulary,
            replace(found.abilities, lasting=found.far.lasting),
            found.dialect,
            exchange,
            connections,
            partial(_close, sides),
        )
    except BaseException:
        connections.close(_close(sides))
        raise


def _wait(connections: Connections, work: Coroutine[Any, Any, T], cancel: Cancel) -> T:
    try:
        return connections.wait_for(work, cancel)
    except Stopped:
        raise CancelledError("Connecting to the server was stopped.") from None


def _addresses(remote: TurbopilotRemote) -> tuple[Address, ...]:
    return read_addresses(remote.urls, plain_http=remote.plain_http)


def _checked_addresses(remote: TurbopilotRemote) -> tuple[Address, ...]:
    found = _addresses(remote)
    if any(address.provider for address in found):
        provider.ensure_installed()
        if not remote.model and any(not address.root for address in found):
            raise ModelRefusedError(
                "Name the provider's model in c.TurbopilotRemote.model, as owner/repository.",
                code="far_model",
            )
    return found


def _in_hub(remote: TurbopilotRemote) -> bool:
    return bool(remote.auth == "jupyterhub")


def _key(remote: TurbopilotRemote, address: Address) -> str:
    return read_key(remote.key_file, provider=bool(address.provider), jupyterhub=_in_hub(remote))


def _sides(remote: TurbopilotRemote) -> list[AnySide]:
    sides: list[AnySide] = []
    for address in _checked_addresses(remote):
        key = _key(remote, address)
        if address.provider:
            sides.append(provider.ProviderSide(address, key, remote.model, remote.timeout))
        else:
            sides.append(HttpSide(address, key, remote.timeout, in_hub=_in_hub(remote)))
    return sides


async def _close(sides: Sequence[AnySide]) -> None:
    for side in sides:
        await side.close()


@asynccontextmanager
async def _in_words(side: AnySide, seconds: float) -> AsyncIterator[None]:
    """Give a far side so many seconds, and say what went wrong with it."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise DiedError(NO_TIME) from None
    except StrangeAnswerError as error:
        raise words.strange(side.address.host, error) from None
    except AskedToWaitError as asked:
        raise EngineGoneError(asked.error.message, after=asked.after or 0.0) from None


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
    raise gone or words.gone(", ".join(side.address.host for side in sides), reason)


async def _ask_again(remote: TurbopilotRemote, side: AnySide) -> tuple[FarSide, float]:
    far, took = await _ask_who(remote, side), []
    for _ in range(ROUND_TRIPS):
        begun = time.perf_counter()
        far = await _ask_who(remote, side)
        took.append(time.perf_counter() - begun)
    return far, min(took)


async def _ask_who(remote: TurbopilotRemote, side: AnySide) -> FarSide:
    async with _in_words(side, remote.timeout):
        return await look(side, remote.model)


@dataclass(frozen=True)
class _Found:
    """A far side, and how to speak to it."""

    far: FarSide
    vocabulary: Vocabulary
    dialect: Dialect
    abilities: Abilities


async def _survey(
    remote: TurbopilotRemote,
    vocabulary_of: Callable[[str], Vocabulary | None],
    spellings: Spellings,
    default_size: int,
    side: AnySide,
) -> _Found:
    """Find out how to speak to a far side."""
    far = await _ask_who(remote, side)
    size = far.context_size or default_size
    # Reading a file takes a while, but nobody else uses this thread yet; it is not the far side's time.
    vocabulary = vocabulary_of(far.model)
    async with _in_words(side, remote.timeout):
        if vocabulary and isinstance(side, HttpSide):
            await compare(side, far, vocabulary)
            dialect, abilities = by_ids(far, vocabulary, remote)
        else:
            form = await text_form(side, far, remote.fim)
            dialect, abilities = by_text(far, form, spellings, remote)
            vocabulary, size = CodePoints(fills=form.hole != "none"), size * CHARACTERS
    return _Found(replace(far, context_size=size), vocabulary, dialect, abilities)


async def _connect(
    sides: Sequence[AnySide], survey: Callable[[AnySide], Awaitable[_Found]], remote: TurbopilotRemote
) -> tuple[_Found, Exchange]:
    """Return the first far side that can be spoken to, and what exchanges requests and answers with it."""
    number, found = await _first(sides, survey)
    sides[number].known = True
    exchange = Exchange(sides, found.far, found.dialect, partial(look, wanted=remote.model), remote.timeout)
    for failed in range(number):
        exchange.rest(failed)
    return found, exchange
