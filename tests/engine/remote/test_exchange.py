from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.remote.address import Address
from jupyter_turbopilot.engine.remote.dialect import EventContent, Request
from jupyter_turbopilot.engine.remote.errors import AskedToWaitError, DiedError, RemoteRefusalError, refused
from jupyter_turbopilot.engine.remote.exchange import (
    CUT,
    FIRST,
    LEAST,
    LONGEST,
    MOST_NAMES,
    Endpoint,
    Exchange,
    RetryTimes,
    pause,
)
from jupyter_turbopilot.engine.remote.remote_server import Kind, RemoteServer
from jupyter_turbopilot.errors import BusyError, EngineError, EngineGoneError, NotReadyError
from jupyter_turbopilot.generation import Token

REQUEST = Request("/v1/completions", {})
WORD, END = EventContent((Token(b"a", 1.0),)), EventContent((), ended=True)
Say = EventContent | Exception | float  # what is said, what is raised, or for how many seconds nothing is


class Scripted:
    """An address that answers as it is told to, request by request; the last answer is given again."""

    known = True
    recognized = 0

    def __init__(self, *answers: list[Say], model: str = "m") -> None:
        self.address = Address("http://h", f"h{id(self)}")
        self.answers = list(answers)
        self.model = model
        self.asked = 0

    async def stream(self, request: Request, dialect: Any) -> AsyncGenerator[EventContent]:
        self.asked += 1
        for say in self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]:
            if isinstance(say, Exception):
                raise say
            if isinstance(say, float):
                await asyncio.sleep(say)
            else:
                yield say


async def recognize(side: Any) -> RemoteServer:
    side.recognized += 1
    if not side.model:
        raise EngineGoneError("h has no model loaded.")
    return RemoteServer(Kind.VLLM, side.model)


def exchange_of(
    *sides: Scripted,
    timeout: float = 5.0,
    far: RemoteServer = RemoteServer(Kind.VLLM, "m"),  # noqa: B008 - it is immutable
    recognize: Callable[[Any], Any] = recognize,
) -> Exchange:
    return Exchange(sides, far, None, recognize, timeout)  # type: ignore[arg-type]


def write(*sides: Scripted, timeout: float = 5.0, times: int = 1, awaited: bool = True) -> list[EventContent]:
    heard: list[EventContent] = []
    exchange = exchange_of(*sides, timeout=timeout)

    async def all_times() -> None:
        for _ in range(times):
            await exchange.write(REQUEST, lambda one: heard.append(one) or one.ended, awaited=awaited)

    asyncio.run(all_times())
    return heard


def together(*writing: Callable[[], Any]) -> list[Any]:
    async def gathered() -> list[Any]:
        return await asyncio.gather(*(one() for one in writing), return_exceptions=True)

    return asyncio.run(gathered())


DIED = DiedError("it broke off")
WAIT = AskedToWaitError(refused("h", 429), 0.0)


def test_a_request_that_died_is_sent_again_to_the_only_address() -> None:
    only = Scripted([DIED], [WORD, END])
    assert write(only) == [WORD, END]


def test_an_address_that_hangs_while_each_key_takes_the_request_before_back_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(f"{Exchange.__module__}.SILENT", 0.05)
    monkeypatch.setattr(f"{Exchange.__module__}.PROBED", 0.05)
    hangs, second = Scripted([60.0]), Scripted([WORD, END])

    async def recognize_others(side: Any) -> RemoteServer:
        await asyncio.sleep(60 if side is hangs else 0)
        return RemoteServer(Kind.VLLM, "m")

    exchange = exchange_of(hangs, second, timeout=30.0, recognize=recognize_others)
    heard: list[EventContent] = []

    async def keys() -> None:
        while not heard:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await exchange.write(REQUEST, lambda one: heard.append(one) or one.ended)  # type: ignore[func-returns-value]

    asyncio.run(asyncio.wait_for(keys(), 20))
    assert heard == [WORD, END]


def test_an_address_that_is_slow_but_there_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{Exchange.__module__}.SILENT", 0.0)
    slow, second = Scripted([60.0], [60.0], [60.0], [0.05, WORD, END]), Scripted([WORD, END])
    exchange = exchange_of(slow, second, timeout=30.0)

    async def keys() -> None:
        for _ in range(3):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await exchange.write(REQUEST, lambda _: True)
        await exchange.write(REQUEST, lambda one: one.ended)

    asyncio.run(keys())
    assert slow.recognized
    assert (slow.asked, second.asked) == (4, 0)


def test_a_request_is_sent_twice_at_most() -> None:
    sides = [Scripted([DIED]) for _ in range(3)]
    with pytest.raises(NotReadyError, match="broke off"):
        write(*sides)
    assert [side.asked for side in sides] == [1, 1, 0]


def test_an_address_that_failed_rests_and_the_engine_is_gone_when_all_do() -> None:
    first, second = Scripted([DIED]), Scripted([WORD, END])
    write(first, second, times=3)
    assert (first.asked, second.asked) == (1, 3)
    with pytest.raises(EngineGoneError, match="broke off"):
        write(Scripted([DIED]))


@pytest.mark.parametrize("end", [DIED, [], EngineError("x"), 9.0, WAIT])
def test_after_its_first_word_a_text_ends_with_what_it_has(end: Any) -> None:
    first, second = Scripted([WORD, *([] if end == [] else [end])]), Scripted([WORD, END])
    assert write(first, second, timeout=0.2) == [WORD, CUT]
    assert (second.asked, first.known) == (0, end == [])


def test_while_a_request_is_sent_again_to_the_only_address_others_are_served_by_it() -> None:
    side, heard = Scripted([DIED], [0.1, WORD, END], [WORD, END]), list[EventContent]()
    exchange = exchange_of(side)

    def hear(one: EventContent) -> bool:
        heard.append(one)
        return one.ended

    together(*[lambda: exchange.write(REQUEST, hear)] * 2)
    assert heard == [WORD, END] * 2


def test_an_answer_without_a_word_or_an_end_has_died() -> None:
    assert write(Scripted([EventContent()]), Scripted([END])) == [EventContent(), END]


def test_an_address_that_nothing_was_sent_to_has_not_failed() -> None:
    first, second = Scripted([9.0]), Scripted([9.0])
    with pytest.raises(EngineGoneError, match="in time"):
        write(first, second, timeout=0.1)
    assert (first.asked, second.asked) == (1, 1)


def test_an_address_without_its_model_is_passed_over_while_another_has_it() -> None:
    first, second = Scripted([WORD, END], model=""), Scripted([WORD, END])
    first.known = False
    assert write(first, second, times=2) == [WORD, END] * 2
    assert (first.recognized, first.asked) == (1, 0)
    first.known = False
    with pytest.raises(EngineGoneError, match="no model loaded"):
        write(first)


class Streaming(Scripted):
    """Writes word for word for whom it writes first, and is silent for all others."""

    async def stream(self, request: Request, dialect: Any) -> AsyncGenerator[EventContent]:
        self.asked += 1
        if self.asked > 1:
            await asyncio.sleep(9)
        for _ in range(12):
            yield WORD
            await asyncio.sleep(0.1)
        yield END


@pytest.mark.parametrize("others", [0, 1])
def test_a_slow_text_fails_alone_while_its_address_writes_others(others: int) -> None:
    sides = [Streaming(), *(Scripted([9.0]) for _ in range(others))]
    exchange = exchange_of(*sides, timeout=0.6)
    heard: list[EventContent] = []

    def hear(one: EventContent) -> bool:
        heard.append(one)
        return one.ended

    first, slow = together(*[lambda: exchange.write(REQUEST, hear)] * 2)
    assert first is None
    assert heard == [WORD] * 12 + [END]
    assert type(slow) is NotReadyError
    assert sides[0].known


def test_empty_events_without_end_keep_nobody_waiting() -> None:
    class Chatty(Scripted):
        async def stream(self, request: Request, dialect: Any) -> AsyncGenerator[EventContent]:
            yield WORD
            while True:
                await asyncio.sleep(0.01)
                yield EventContent()

    assert write(Chatty(), timeout=0.2)[0] == WORD


def test_what_nobody_waits_for_is_not_sent_again_to_who_asks_to_be_left_alone() -> None:
    side = Scripted([AskedToWaitError(refused("h", 503), 0.0)], [WORD, END])
    with pytest.raises(NotReadyError):
        write(side, awaited=False)
    assert side.asked == 1


def test_nobody_waits_for_longer_than_there_is_time() -> None:
    side, other = Scripted([AskedToWaitError(refused("h", 429), 30.0)]), Scripted([WORD, END])
    with pytest.raises(BusyError) as told:
        write(side, other)
    assert (side.asked, other.asked, told.value.after) == (1, 0, 30.0)


async def outcomes(exchange: Exchange, *asks: tuple[str, bool]) -> list[object]:
    """Ask for sessions, which are awaited or not, one after the other; return what came of it."""
    found: list[object] = []
    for session, awaited in asks:
        heard: list[EventContent] = []
        request = replace(REQUEST, session=session)
        try:
            await exchange.write(request, lambda one, to=heard: to.append(one) or one.ended, awaited=awaited)
            found.append(heard)
        except (BusyError, NotReadyError) as error:
            found.append(error)
    return found


def test_who_types_on_sends_nothing_before_the_wait_is_over_and_others_are_asked_for() -> None:
    side = Scripted([AskedToWaitError(refused("h", 429), 30.0)], [WORD, END])
    exchange = exchange_of(side)
    asked = [("a", True), ("a", True), ("a", False), ("b", True)]
    first, again, warm, other = asyncio.run(outcomes(exchange, *asked))
    assert side.asked == 2
    for told in (first, again, warm):
        assert isinstance(told, BusyError)
        assert 29 < told.after <= 30
    assert other == [WORD, END]
    assert exchange.figures.addresses[side.address.host].throttled == 1


def test_after_the_wait_the_next_key_is_asked_for_again() -> None:
    side = Scripted([AskedToWaitError(refused("h", 429), 0.3)], [WORD, END])
    exchange = exchange_of(side, timeout=0.2)

    async def type_on() -> list[object]:
        found = await outcomes(exchange, ("a", True))
        await asyncio.sleep(0.31)
        return found + await outcomes(exchange, ("a", True))

    refused_first, then = asyncio.run(type_on())
    assert isinstance(refused_first, BusyError)
    assert (then, side.asked) == ([WORD, END], 2)


def test_what_answers_cost_and_who_gives_them_is_counted() -> None:
    by_x, by_y = (EventContent(replica=name, cached=cached) for name, cached in (("x", 0), ("y", 5)))
    side = Scripted([by_x, WORD, END], [by_y, WORD, END], [by_y, 60.0])
    exchange = exchange_of(side, timeout=0.5)
    asyncio.run(outcomes(exchange, ("a", True), ("a", True), ("a", True)))
    counted = exchange.figures.addresses[side.address.host]
    assert (counted.answers, exchange.figures.moved, exchange.figures.hits) == (2, 1, 1)
    assert counted.requests >= 3


@pytest.mark.parametrize("code", [400, 401, 403, 404, 500, 502])
def test_a_refusal_is_told_and_not_tried_elsewhere(code: int) -> None:
    other = Scripted([WORD, END])
    with pytest.raises(RemoteRefusalError):
        write(Scripted([refused("h", code)]), other)
    assert other.asked == 0


def named(*names: str) -> list[list[Say]]:
    return [[EventContent(WORD.tokens, ended=True, model=name)] for name in names]


def test_one_model_may_answer_under_several_names() -> None:
    side = Scripted(*named(*"mnmnmn"))
    assert len(write(side, times=6)) == 6
    assert side.recognized == 1
    side = Scripted(*named(*map(str, range(60))))
    write(side, times=60)
    assert side.recognized == MOST_NAMES - 1


@pytest.mark.parametrize("then", [DIED, EngineError("x"), WAIT, 9.0])
@pytest.mark.parametrize("word", [[WORD], []])
def test_what_comes_of_an_answer_behind_its_end_is_nobodys(word: list[Say], then: Any) -> None:
    side = Scripted([*word, END, then])
    assert write(side, timeout=0.2) == [*word, END]
    assert (side.asked, side.known) == (1, True)


def test_a_rest_doubles_up_to_a_minute_and_requests_that_fail_together_are_one_failure() -> None:
    place, now, seen = Endpoint(Scripted()), 0.0, []
    for _ in range(8):
        for _ in range(20):
            place.rest(now)
        seen.append(place.rests_until - now)
        now = place.rests_until
    assert seen == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_session_that_was_told_to_wait_waits_and_no_other_does() -> None:
    waits = RetryTimes()
    assert waits.asked("a", 429, 3.0, 10.0) == 3.0
    assert waits.left("a", 11.0) == (2.0, 429)
    assert waits.left("b", 11.0)[0] == waits.left("a", 13.0)[0] == 0.0


def test_who_may_be_asked_at_once_is_left_alone_for_a_moment() -> None:
    waits = RetryTimes()
    assert waits.asked("a", 503, 0.0, 0.0) == LEAST
    assert waits.left("a", 0.0) == (LEAST, 503)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e9)), min_size=1, max_size=50))
def test_however_the_clock_jumps_what_is_remembered_is_over_in_a_minute(
    asked: list[tuple[float, float]],
) -> None:
    waits = RetryTimes()
    for number, (now, seconds) in enumerate(asked):
        waits.asked(str(number), 429, seconds, now)
        assert 0 < waits.left(str(number), now)[0] <= LONGEST + 1e-6
        assert waits.left(str(number), now + LONGEST + 1e-3)[0] == 0
    waits.asked("last", 429, 1.0, 2e6)
    assert len(waits.waits) == 1


@given(st.integers(0, 10_000))
def test_a_pause_is_between_a_second_and_a_minute(failures: int) -> None:
    assert FIRST <= pause(failures) <= pause(failures + 1) <= LONGEST
