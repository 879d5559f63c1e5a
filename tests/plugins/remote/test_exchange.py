import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    Target,
    pause,
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


async def recognize(side: Any) -> RemoteServer:
    side.recognized += 1
    if not side.model:
        raise EngineGoneError("h has no model loaded.")
    return RemoteServer(Kind.VLLM, side.model)


def exchange_of(
    *sides: Scripted,
    timeout: float = 5.0,
    peer: RemoteServer = RemoteServer(Kind.VLLM, "m"),  # noqa: B008 - it is immutable
    recognize: Callable[[Any], Any] = recognize,
) -> Exchange:
    return Exchange(sides, peer, None, recognize, timeout)  # type: ignore[arg-type]


def write(*sides: Scripted, timeout: float = 5.0, times: int = 1, awaited: bool = True) -> list[EventContent]:
    received: list[EventContent] = []
    exchange = exchange_of(*sides, timeout=timeout)

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


def test_write_leaves_a_hanging_address_despite_cancelled_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(f"{Exchange.__module__}.SILENT", 0.05)
    monkeypatch.setattr(f"{Exchange.__module__}.PROBED", 0.05)
    hangs, second = Scripted([60.0]), Scripted([WORD, END])

    async def recognize_others(side: Any) -> RemoteServer:
        await asyncio.sleep(60 if side is hangs else 0)
        return RemoteServer(Kind.VLLM, "m")

    exchange = exchange_of(hangs, second, timeout=30.0, recognize=recognize_others)
    received: list[EventContent] = []

    async def keystrokes() -> None:
        while not received:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await exchange.write(REQUEST, lambda one: received.append(one) or one.ended)  # type: ignore[func-returns-value]

    asyncio.run(asyncio.wait_for(keystrokes(), 20))
    assert received == [WORD, END]


def test_write_keeps_a_slow_address_that_answers_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{Exchange.__module__}.SILENT", 0.0)
    slow, second = Scripted([60.0], [60.0], [60.0], [0.05, WORD, END]), Scripted([WORD, END])
    exchange = exchange_of(slow, second, timeout=30.0)

    async def keystrokes() -> None:
        for _ in range(3):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await exchange.write(REQUEST, lambda _: True)
        await exchange.write(REQUEST, lambda one: one.ended)

    asyncio.run(keystrokes())
    assert slow.recognized
    assert (slow.asked, second.asked) == (4, 0)


def test_write_sends_a_request_at_most_twice() -> None:
    sides = [Scripted([DIED]) for _ in range(3)]
    with pytest.raises(NotReadyError, match="broke off"):
        write(*sides)
    assert [side.asked for side in sides] == [1, 1, 0]


def test_write_pauses_a_failed_address() -> None:
    first, second = Scripted([DIED]), Scripted([WORD, END])
    write(first, second, times=3)
    assert (first.asked, second.asked) == (1, 3)
    with pytest.raises(EngineGoneError, match="broke off"):
        write(Scripted([DIED]))


@pytest.mark.parametrize("end", [DIED, [], EngineError("x"), 9.0, WAIT])
def test_write_cuts_a_text_that_fails_after_its_first_token(end: Any) -> None:
    first, second = Scripted([WORD, *([] if end == [] else [end])]), Scripted([WORD, END])
    assert write(first, second, timeout=0.2) == [WORD, CUT]
    assert (second.asked, first.known) == (0, end == [])


def test_write_serves_others_during_a_retry() -> None:
    side, received = Scripted([DIED], [0.1, WORD, END], [WORD, END]), list[EventContent]()
    exchange = exchange_of(side)

    def receive(one: EventContent) -> bool:
        received.append(one)
        return one.ended

    together(*[lambda: exchange.write(REQUEST, receive)] * 2)
    assert received == [WORD, END] * 2


def test_write_treats_an_empty_answer_as_failed() -> None:
    assert write(Scripted([EventContent()]), Scripted([END])) == [EventContent(), END]


def test_write_does_not_pause_an_address_without_requests() -> None:
    first, second = Scripted([9.0]), Scripted([9.0])
    with pytest.raises(EngineGoneError, match="in time"):
        write(first, second, timeout=0.1)
    assert (first.asked, second.asked) == (1, 1)


def test_write_skips_an_address_without_a_model() -> None:
    first, second = Scripted([WORD, END], model=""), Scripted([WORD, END])
    first.known = False
    assert write(first, second, times=2) == [WORD, END] * 2
    assert (first.recognized, first.asked) == (1, 0)
    first.known = False
    with pytest.raises(EngineGoneError, match="no model loaded"):
        write(first)


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


@pytest.mark.parametrize("others", [0, 1])
def test_write_fails_a_slow_text_without_pausing_the_address(others: int) -> None:
    sides = [Streaming(), *(Scripted([9.0]) for _ in range(others))]
    exchange = exchange_of(*sides, timeout=0.6)
    received: list[EventContent] = []

    def receive(one: EventContent) -> bool:
        received.append(one)
        return one.ended

    first, slow = together(*[lambda: exchange.write(REQUEST, receive)] * 2)
    assert first is None
    assert received == [WORD] * 12 + [END]
    assert type(slow) is NotReadyError
    assert sides[0].known


def test_write_times_out_despite_empty_events() -> None:
    class Chatty(Scripted):
        async def stream(self, request: Request, dialect: Any) -> AsyncGenerator[EventContent]:
            yield WORD
            while True:
                await asyncio.sleep(0.01)
                yield EventContent()

    assert write(Chatty(), timeout=0.2)[0] == WORD


def test_write_checks_a_server_again_that_has_lost_its_model() -> None:
    side = Scripted([AskedToWaitError(refused("h", 503), 0.0, lost_model=True)], [WORD, END], model="")
    with pytest.raises(EngineGoneError, match="no model"):
        write(side)
    assert side.asked == 1


def test_write_does_not_check_a_server_again_that_is_loading() -> None:
    side = Scripted([AskedToWaitError(refused("h", 503), 0.0)], [WORD, END])
    assert write(side) == [WORD, END]
    assert (side.asked, side.recognized) == (2, 0)


def test_write_fails_if_the_wait_exceeds_the_timeout() -> None:
    side, other = Scripted([AskedToWaitError(refused("h", 429), 30.0)]), Scripted([WORD, END])
    with pytest.raises(BusyError) as busy:
        write(side, other)
    assert (side.asked, other.asked, busy.value.after) == (1, 0, pytest.approx(30, abs=1))


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
    side = Scripted([AskedToWaitError(refused("h", 429), 30.0)], [WORD, END])
    exchange = exchange_of(side)
    asked = [("a", True), ("a", True), ("a", False), ("b", True)]
    first, again, warm, other = asyncio.run(outcomes(exchange, *asked))
    assert side.asked == 2
    for error in (first, again, warm):
        assert isinstance(error, BusyError)
        assert 29 < error.after <= 30
    assert other == [WORD, END]
    assert metric(exchange, "throttled_total") == 1


def test_write_reports_an_overloaded_server_at_once_for_that_request() -> None:
    side = Scripted([failure("h", 429, ErrorFields(code="overloaded", after=5.0))], [WORD, END])
    refusal, then = asyncio.run(outcomes(exchange_of(side), ("a", True), ("a", True)))
    assert isinstance(refusal, BusyError)
    assert (refusal.code, refusal.after) == ("overloaded", 5.0)
    assert (then, side.asked) == ([WORD, END], 2)


def test_level_is_the_highest_known_one() -> None:
    sides = [Scripted([END]) for _ in range(3)]
    exchange = exchange_of(*sides)
    found = []
    for levels in ((None, None, None), (None, Level.NONE, None), (Level.NONE, None, Level.NO_PREFETCH)):
        for side, level in zip(sides, levels, strict=True):
            side.level = level
        found.append(exchange.level)
    assert found == [None, Level.NONE, Level.NO_PREFETCH]


def test_write_sends_again_after_the_wait() -> None:
    side = Scripted([AskedToWaitError(refused("h", 429), 0.3)], [WORD, END])
    exchange = exchange_of(side, timeout=0.2)

    async def keystrokes() -> list[object]:
        found = await outcomes(exchange, ("a", True))
        await asyncio.sleep(0.31)
        return found + await outcomes(exchange, ("a", True))

    refused_first, then = asyncio.run(keystrokes())
    assert isinstance(refused_first, BusyError)
    assert (then, side.asked) == ([WORD, END], 2)


def metric(exchange: Exchange, name: str) -> float:
    """Return a metric of the first address."""
    labels = {"address": exchange.targets[0].side.address.host}
    value = exchange.metrics.registry.get_sample_value(f"turbopilot_engine_{name}", labels)
    assert value is not None
    return value


def test_write_updates_the_metrics() -> None:
    side = Scripted([WORD, END], [0.1, WORD, WORD, END], [60.0])
    exchange = exchange_of(side, timeout=0.5)
    asyncio.run(outcomes(exchange, ("a", True), ("a", True), ("a", True)))
    assert metric(exchange, "first_token_seconds_count") == 2
    assert 0.1 <= metric(exchange, "first_token_seconds_sum") < 0.5
    assert metric(exchange, "requests_total") >= 3
    assert metric(exchange, "throttled_total") == 0


@pytest.mark.parametrize("code", [400, 401, 403, 404, 500, 502])
def test_write_reports_a_rejection_without_a_retry(code: int) -> None:
    other = Scripted([WORD, END])
    with pytest.raises(RemoteRefusalError):
        write(Scripted([refused("h", code)]), other)
    assert other.asked == 0


def named(*names: str) -> list[list[Act]]:
    return [[EventContent(WORD.tokens, ended=True, model=name)] for name in names]


def test_write_accepts_several_names_of_one_model() -> None:
    side = Scripted(*named(*"mnmnmn"))
    assert len(write(side, times=6)) == 6
    assert side.recognized == 1
    side = Scripted(*named(*map(str, range(60))))
    write(side, times=60)
    assert side.recognized == MOST_NAMES - 1


def test_write_notices_a_changed_version() -> None:
    side = Scripted([EventContent(WORD.tokens, version="2")])
    exchange = exchange_of(side, peer=RemoteServer(Kind.OURS, "m", version="1"))
    with pytest.raises(EngineGoneError, match="another model"):
        asyncio.run(exchange.write(REQUEST, lambda one: one.ended, awaited=True))


@pytest.mark.parametrize("then", [DIED, EngineError("x"), WAIT, 9.0])
@pytest.mark.parametrize("word", [[WORD], []])
def test_write_ignores_failures_after_the_end(word: list[Act], then: Any) -> None:
    side = Scripted([*word, END, then])
    assert write(side, timeout=0.2) == [*word, END]
    assert (side.asked, side.known) == (1, True)


def test_rest_doubles_and_counts_parallel_failures_once() -> None:
    target, now, seen = Target(Scripted()), 0.0, []
    for _ in range(8):
        for _ in range(20):
            target.rest(now)
        seen.append(target.rests_until - now)
        now = target.rests_until
    assert seen == [1, 2, 4, 8, 16, 32, 60, 60]


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e9)), min_size=1, max_size=50))
def test_waits_are_limited_and_forgotten(asked: list[tuple[float, float]]) -> None:
    target, error = Target(Scripted()), refused("h", 429)  # type: ignore[arg-type]
    for number, (now, seconds) in enumerate(asked):
        target.wait(str(number), error, seconds, now)
        assert target.waits[str(number)][0] - now + 1e-6 >= LEAST
        assert target.waits[str(number)][0] - now <= LONGEST + 1e-6
    target.wait("last", error, 1.0, 2e6)
    assert len(target.waits) == 1


@given(st.integers(0, 10_000))
def test_pause_is_between_a_second_and_a_minute(failures: int) -> None:
    assert FIRST <= pause(failures) <= pause(failures + 1) <= LONGEST


@pytest.mark.parametrize(
    "how",
    [
        "it does not answer in time",
        "its answer broke off or is not HTTP",
        "its certificate is invalid or not trusted",
    ],
)
def test_unreachable_in_hub_is_shown_whole_and_names_no_address(how: str) -> None:
    side = Scripted()
    side.in_hub = True
    message = unreachable([side], how).message  # type: ignore[list-item]
    assert len(f"Turbopilot: {message} Retrying…") <= 140
    assert side.address.host not in message
