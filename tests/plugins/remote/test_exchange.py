import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Any

import pytest

from jupyter_turbopilot.engine.load_shedding import Level
from jupyter_turbopilot.plugins.remote.address import Address
from jupyter_turbopilot.plugins.remote.dialect import EventContent, Request
from jupyter_turbopilot.plugins.remote.errors import (
    AskedToWaitError,
    DiedError,
    ErrorFields,
    RemoteRefusalError,
    failure,
    refused,
)
from jupyter_turbopilot.plugins.remote.exchange import (
    CUT,
    FIRST,
    LEAST,
    LONGEST,
    MOST_NAMES,
    Exchange,
    unreachable,
)
from jupyter_turbopilot.plugins.remote.remote_server import Kind, RemoteServer
from jupyter_turbopilot.protocol.engine_request import Token
from jupyter_turbopilot.protocol.errors import BusyError, EngineError, EngineGoneError, NotReadyError

REQUEST = Request("/v1/completions", {})
WORD, END = EventContent((Token(b"a", 1.0),)), EventContent((), ended=True)
Act = EventContent | Exception | float  # an event, an exception, or seconds of silence


class Scripted:
    """A scripted address: it gives the answers one by one, and then repeats the last one."""

    known, in_hub = True, False
    level: Level | None = Level.NONE
    recognized = 0

    def __init__(self, *answers: list[Act], model: str = "m") -> None:
        self.address = Address("http://h", f"h{id(self)}")
        self.answers = list(answers)
        self.model = model
        self.asked = 0

    async def stream(self, request: Request, dialect: Any) -> AsyncGenerator[EventContent]:
        self.asked += 1
        for act in self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]:
            if isinstance(act, Exception):
                raise act
            if isinstance(act, float):
                await asyncio.sleep(act)
            else:
                yield act


async def recognize(client: Any) -> RemoteServer:
    client.recognized += 1
    if not client.model:
        raise EngineGoneError("h has no model loaded.")
    return RemoteServer(Kind.VLLM, client.model)


def exchange_of(
    client: Scripted,
    timeout: float = 5.0,
    peer: RemoteServer = RemoteServer(Kind.VLLM, "m"),  # noqa: B008 - it is immutable
    recognize: Callable[[Any], Any] = recognize,
) -> Exchange:
    return Exchange(client, peer, None, recognize, timeout)  # type: ignore[arg-type]


def write(client: Scripted, timeout: float = 5.0, times: int = 1, awaited: bool = True) -> list[EventContent]:
    received: list[EventContent] = []
    exchange = exchange_of(client, timeout=timeout)

    async def all_times() -> None:
        for _ in range(times):
            await exchange.write(REQUEST, lambda one: received.append(one) or one.ended, awaited=awaited)

    asyncio.run(all_times())
    return received


def together(*writing: Callable[[], Any]) -> list[Any]:
    async def gathered() -> list[Any]:
        return await asyncio.gather(*(one() for one in writing), return_exceptions=True)

    return asyncio.run(gathered())


DIED = DiedError("it broke off")
WAIT = AskedToWaitError(refused("h", 429), 0.0)


@pytest.mark.parametrize(("answers", "is_gone"), [(False, True), (True, False)])
def test_write_probes_a_silent_server_despite_cancelled_requests(
    answers: bool, is_gone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{Exchange.__module__}.SILENT", 0.0)
    monkeypatch.setattr(f"{Exchange.__module__}.PROBED", 0.05)
    probed = 0

    async def recognize(_: Any) -> RemoteServer:
        nonlocal probed
        probed += 1
        await asyncio.sleep(0 if answers else 60)
        return RemoteServer(Kind.VLLM, "m")

    exchange = exchange_of(Scripted([60.0]), timeout=30.0, recognize=recognize)

    async def keystrokes() -> None:
        while probed < 3:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.06):
                    await exchange.write(REQUEST, lambda _: True)

    if is_gone:
        with pytest.raises(EngineGoneError, match="in time"):
            asyncio.run(asyncio.wait_for(keystrokes(), 20))
    else:
        asyncio.run(asyncio.wait_for(keystrokes(), 20))


def test_write_sends_a_request_at_most_twice() -> None:
    client = Scripted([DIED])
    with pytest.raises(EngineGoneError, match="broke off"):
        write(client)
    assert client.asked == 2
    assert not client.known


@pytest.mark.parametrize("end", [DIED, [], EngineError("x"), 9.0, WAIT])
def test_write_cuts_a_text_that_fails_after_its_first_token(end: Any) -> None:
    client = Scripted([WORD, *([] if end == [] else [end])])
    assert write(client, timeout=0.2) == [WORD, CUT]
    assert (client.asked, client.known) == (1, end == [])


def test_write_serves_others_during_a_retry() -> None:
    client, received = Scripted([DIED], [0.1, WORD, END], [WORD, END]), list[EventContent]()
    exchange = exchange_of(client)

    def receive(one: EventContent) -> bool:
        received.append(one)
        return one.ended

    together(*[lambda: exchange.write(REQUEST, receive)] * 2)
    assert received == [WORD, END] * 2


def test_write_treats_an_empty_answer_as_failed() -> None:
    assert write(Scripted([EventContent()], [END])) == [EventContent(), END]


def test_write_does_not_retry_after_the_timeout() -> None:
    client = Scripted([9.0])
    with pytest.raises(EngineGoneError, match="in time"):
        write(client, timeout=0.1)
    assert client.asked == 1


def test_write_reports_a_server_without_a_model() -> None:
    client = Scripted([WORD, END], model="")
    client.known = False
    with pytest.raises(EngineGoneError, match="no model loaded"):
        write(client)
    assert (client.recognized, client.asked) == (2, 0)


class Streaming(Scripted):
    """An address that streams the first answer and is silent for all others."""

    async def stream(self, request: Request, dialect: Any) -> AsyncGenerator[EventContent]:
        self.asked += 1
        if self.asked > 1:
            await asyncio.sleep(9)
        for _ in range(12):
            yield WORD
            await asyncio.sleep(0.1)
        yield END


def test_write_fails_only_the_slow_one_of_two_texts() -> None:
    client = Streaming()
    exchange = exchange_of(client, timeout=0.6)
    received: list[EventContent] = []

    def receive(one: EventContent) -> bool:
        received.append(one)
        return one.ended

    first, slow = together(*[lambda: exchange.write(REQUEST, receive)] * 2)
    assert first is None
    assert received == [WORD] * 12 + [END]
    assert type(slow) is NotReadyError
    assert client.known


def test_write_times_out_despite_empty_events() -> None:
    class Chatty(Scripted):
        async def stream(self, request: Request, dialect: Any) -> AsyncGenerator[EventContent]:
            yield WORD
            while True:
                await asyncio.sleep(0.01)
                yield EventContent()

    assert write(Chatty(), timeout=0.2)[0] == WORD


def test_write_checks_a_server_again_that_has_lost_its_model() -> None:
    client = Scripted([AskedToWaitError(refused("h", 503), 0.0, lost_model=True)], [WORD, END], model="")
    with pytest.raises(EngineGoneError, match="no model"):
        write(client)
    assert client.asked == 1


def test_write_does_not_check_a_server_again_that_is_loading() -> None:
    client = Scripted([AskedToWaitError(refused("h", 503), 0.0)], [WORD, END])
    assert write(client) == [WORD, END]
    assert (client.asked, client.recognized) == (2, 0)


def test_write_fails_if_the_wait_exceeds_the_timeout() -> None:
    client = Scripted([AskedToWaitError(refused("h", 429), 30.0)])
    with pytest.raises(BusyError) as busy:
        write(client)
    assert (client.asked, busy.value.after) == (1, pytest.approx(30, abs=1))


async def outcomes(exchange: Exchange, *asks: tuple[str, bool]) -> list[object]:
    """Send requests for sessions, awaited or not, and return their results."""
    found: list[object] = []
    for session, awaited in asks:
        received: list[EventContent] = []
        request = replace(REQUEST, session=session)
        try:
            await exchange.write(
                request, lambda one, to=received: to.append(one) or one.ended, awaited=awaited
            )
            found.append(received)
        except (BusyError, NotReadyError) as error:
            found.append(error)
    return found


def test_write_sends_nothing_for_a_waiting_session() -> None:
    client = Scripted([AskedToWaitError(refused("h", 429), 30.0)], [WORD, END])
    exchange = exchange_of(client)
    asked = [("a", True), ("a", True), ("a", False), ("b", True)]
    first, again, warm, other = asyncio.run(outcomes(exchange, *asked))
    assert client.asked == 2
    for error in (first, again, warm):
        assert isinstance(error, BusyError)
        assert 29 < error.after <= 30
    assert other == [WORD, END]


def test_write_reports_an_overloaded_server_at_once_for_that_request() -> None:
    client = Scripted([failure("h", 429, ErrorFields(code="overloaded", after=5.0))], [WORD, END])
    refusal, then = asyncio.run(outcomes(exchange_of(client), ("a", True), ("a", True)))
    assert isinstance(refusal, BusyError)
    assert (refusal.code, refusal.after) == ("overloaded", 5.0)
    assert (then, client.asked) == ([WORD, END], 2)


def test_write_sends_again_after_the_wait() -> None:
    client = Scripted([AskedToWaitError(refused("h", 429), 0.3)], [WORD, END])
    exchange = exchange_of(client, timeout=0.2)

    async def keystrokes() -> list[object]:
        found = await outcomes(exchange, ("a", True))
        await asyncio.sleep(0.31)
        return found + await outcomes(exchange, ("a", True))

    refused_first, then = asyncio.run(keystrokes())
    assert isinstance(refused_first, BusyError)
    assert (then, client.asked) == ([WORD, END], 2)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 500, 502])
def test_write_reports_a_rejection_without_a_retry(code: int) -> None:
    client = Scripted([refused("h", code)])
    with pytest.raises(RemoteRefusalError):
        write(client)
    assert client.asked == 1


def named(*names: str) -> list[list[Act]]:
    return [[EventContent(WORD.tokens, ended=True, model=name)] for name in names]


def test_write_accepts_several_names_of_one_model() -> None:
    client = Scripted(*named(*"mnmnmn"))
    assert len(write(client, times=6)) == 6
    assert client.recognized == 1
    client = Scripted(*named(*map(str, range(60))))
    write(client, times=60)
    assert client.recognized == MOST_NAMES - 1


def test_write_notices_a_changed_version() -> None:
    client = Scripted([EventContent(WORD.tokens, version="2")])
    exchange = exchange_of(client, peer=RemoteServer(Kind.OURS, "m", version="1"))
    with pytest.raises(EngineGoneError, match="another model"):
        asyncio.run(exchange.write(REQUEST, lambda one: one.ended, awaited=True))


@pytest.mark.parametrize("then", [DIED, EngineError("x"), WAIT, 9.0])
@pytest.mark.parametrize("word", [[WORD], []])
def test_write_ignores_failures_after_the_end(word: list[Act], then: Any) -> None:
    client = Scripted([*word, END, then])
    assert write(client, timeout=0.2) == [*word, END]
    assert (client.asked, client.known) == (1, True)


@pytest.mark.parametrize(("asked", "waited"), [(0.0, LEAST), (30.0, 30.0), (1e9, LONGEST), (None, FIRST)])
def test_wait_of_a_session_is_limited(asked: float | None, waited: float) -> None:
    client = Scripted([AskedToWaitError(refused("h", 429), asked)])
    with pytest.raises(BusyError) as busy:
        write(client, awaited=False)
    assert busy.value.after == pytest.approx(waited, abs=LEAST / 2)


@pytest.mark.parametrize(
    "how",
    [
        "it does not answer in time",
        "its answer broke off or is not HTTP",
        "its certificate is invalid or not trusted",
    ],
)
def test_unreachable_in_hub_is_shown_whole_and_names_no_address(how: str) -> None:
    client = Scripted()
    client.in_hub = True
    message = unreachable(client, how).message  # type: ignore[arg-type]
    assert len(f"Turbopilot: {message} Retrying…") <= 140
    assert client.address.host not in message
