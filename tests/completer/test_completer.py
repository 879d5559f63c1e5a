from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count

import pytest
from traitlets.config import Config

from jupyter_turbopilot.analysis.kernel_context import KernelContext, ObjectInfo, read_kernel_context
from jupyter_turbopilot.completer import completer
from jupyter_turbopilot.completer.cache.completion_cache import CacheEntry, CacheKey, CompletionCache
from jupyter_turbopilot.completer.completer import Completer, cache_identity
from jupyter_turbopilot.engine.base import Capabilities
from jupyter_turbopilot.engine.cancel import check
from jupyter_turbopilot.engine.load_shedding import Level
from jupyter_turbopilot.engine.worker import Worker
from jupyter_turbopilot.plugins.remote.vocabulary import CodePoints
from jupyter_turbopilot.protocol.engine_request import ExactRequest, RawRequest, Token
from jupyter_turbopilot.protocol.errors import BusyError
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.util.bounds import Operations, counted_operations

from ..index.fake_index import FakeIndex
from ..scripted_engine import ScriptedEngine
from ..waiting import until
from .desk import PATIENCE, Desk, received, request


def test_completer_skips_prefetching_while_resting(desk: Callable[..., Desk]) -> None:
    d = desk("a")
    d.resting = True
    for trigger in ("warmup", "prefetch"):
        (reply,) = d.ask(request("x = ", trigger=trigger))
        assert (reply.items, reply.finish_reason) == ((), "yielded")
    assert d.engine.asks == []
    assert d.texts(request("x = ", trigger="automatic", eagerness="always")) == ["a"]


@pytest.fixture
def busy(desk: Callable[..., Desk]) -> Callable[[Level], Desk]:
    d = desk("a\nb\nc")

    def at(level: Level) -> Desk:
        d.level = level
        return d

    return at


def test_busy_server_does_not_prefetch(busy: Callable[[Level], Desk]) -> None:
    for trigger in ("warmup", "prefetch"):
        (reply,) = busy(Level.NO_PREFETCH).ask(request("x = ", trigger=trigger))
        assert (reply.items, reply.finish_reason) == ((), "yielded")


def test_busy_server_answers_from_the_cache_without_the_look_up_thread(
    busy: Callable[[Level], Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request("x = ", trigger="automatic", eagerness="always")
    assert busy(Level.NONE).texts(asked) == ["a"]
    monkeypatch.setattr(completer.lookups, "submit", lambda _: False)
    assert busy(Level.REFUSE_BUSIEST).texts(asked) == ["a"]


def test_busy_server_shortens_only_automatic_suggestions(busy: Callable[[Level], Desk]) -> None:
    numbers = count(10)

    def limit(level: Level, trigger: str) -> int:
        d = busy(level)
        d.ask(request(f"x{next(numbers)} = ", trigger=trigger, eagerness="always"))
        return d.engine.asks[-1].sampling.max_tokens

    assert limit(Level.NO_PREFETCH, "automatic") == 2 * limit(Level.SHORT_SUGGESTIONS, "automatic")
    assert limit(Level.NONE, "invoke") == limit(Level.SHORT_SUGGESTIONS, "invoke")


def test_overloaded_server_refuses_only_automatic_requests(busy: Callable[[Level], Desk]) -> None:
    d = busy(Level.REFUSE_BUSIEST)
    with pytest.raises(BusyError) as caught:
        d.ask(request("x = ", trigger="automatic"))
    assert (caught.value.code, caught.value.retry_after) == ("overloaded", 5)
    with pytest.raises(BusyError):
        d.ask(RawRequest((1,), exact=ExactRequest(automatic=True)))
    assert d.texts(request("x = ", trigger="invoke"))
    assert d.texts(RawRequest("x = "))


def test_overloaded_server_answers_automatic_requests_from_the_cache(busy: Callable[[Level], Desk]) -> None:
    asked = request("x = ", trigger="automatic", eagerness="always")
    assert busy(Level.SHORT_SUGGESTIONS).texts(asked) == busy(Level.REFUSE_BUSIEST).texts(asked) == ["a"]


def test_completer_counts_hidden_automatic_suggestions(desk: Callable[..., Desk]) -> None:
    d = desk("a + b", probability=0.1)
    for trigger in ("automatic", "prefetch"):
        d.ask(request("x = ", trigger=trigger))
    assert d.completer.counters["hidden"] == 1


def test_hidden_suggestion_stays_hidden_while_the_user_types_it(
    desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    d = desk("first (second, third)")
    sure = {"first": 0.9, " (second,": 0.9, " third)": 0.05}
    token = lambda _, word: Token(word.encode(), sure[word])  # noqa: E731
    monkeypatch.setattr(d.engine, "token", token)
    for typed, asked in (("", 1), ("first", 1), ("first (second,", 1), ("first (sec", 2), ("other", 3)):
        assert d.texts(request(f"x = {typed}", trigger="automatic")) == []
        assert len(d.engine.asks) == asked


@pytest.mark.parametrize(
    "changed",
    [
        {"prompt_tokens": 99},
        {"engine": "remote"},
    ],
)
def test_identity_changes_with_settings_that_change_answers(changed: dict[str, object]) -> None:
    engine = ScriptedEngine()
    assert cache_identity(engine, Turbopilot(**changed)) != cache_identity(engine, Turbopilot())
    assert cache_identity(engine, Turbopilot(deadline=1.0)) == cache_identity(ScriptedEngine(), Turbopilot())


@pytest.mark.parametrize(
    "changed",
    [
        {"send_documents": True},
        {"send_kernel_context": True},
        {"url": "http://127.0.0.1:1/v1"},
        {"model": "other"},
        {"vocabulary": "none"},
        {"fim": "none"},
    ],
)
def test_identity_changes_with_settings_of_the_remote_engine(changed: dict[str, object]) -> None:
    remote = Turbopilot(engine="remote", config=Config(TurbopilotRemote=changed))
    assert cache_identity(ScriptedEngine(), remote) != cache_identity(
        ScriptedEngine(), Turbopilot(engine="remote")
    )


def test_identity_contains_addresses_without_secrets() -> None:
    report = cache_identity(
        ScriptedEngine(),
        Turbopilot(
            engine="remote",
            config=Config(TurbopilotRemote={"url": "https://me:hunter2@host:1/v1?key=hunter2"}),
        ),
    )
    assert "host:1/v1" in report
    assert "hunter2" not in report


@pytest.mark.parametrize("lasting", [True, False])
def test_completer_does_not_save_answers_of_engines_without_identity(lasting: bool) -> None:
    kept: list[CacheEntry] = []
    engine = ScriptedEngine("1")
    engine.capabilities = Capabilities(persistent=lasting)
    completer = Completer(Worker(), Turbopilot(), CompletionCache(1 << 20, kept.append))
    completer.use_cache_of(engine)
    completer.results.remember(CacheKey("g", "x", persistent=True), [Token(b"1", 0.9)], ended=True)
    assert len(kept) == lasting
    assert completer.results.find(CacheKey("g", "x"))


def test_cache_entries_depend_on_the_kernel_context(desk: Callable[..., Desk]) -> None:
    d = desk("1")

    def ask(kernel_context: KernelContext) -> None:
        received(d.begin(request("x = "), kernel_context=kernel_context)[1])

    for kind in ("int", "int", "str"):
        ask(read_kernel_context({"names": {"y": {"type": kind}}}))
    assert len(d.engine.asks) == 2


def kernel_with(*columns: str) -> KernelContext:
    table = {"type": "DataFrame", "module": "pandas", "columns": list(columns), "all": True}
    return read_kernel_context({"names": {"df": table}, "all": True})


def test_text_that_continues_is_cached_with_its_own_kernel_context(desk: Callable[..., Desk]) -> None:
    d = desk("alpha beta gamma delta", pause=0.1)
    _, replies = d.begin(request("x = ", client="t", stream=True), kernel_context=kernel_with("old"))
    replies.within(PATIENCE)
    newer = kernel_with("new")
    received(d.begin(request("x = al", client="t", stream=True), kernel_context=newer)[1])
    assert d.completer.counters["continued"] == 1
    received(d.begin(request("x = al", client="other"), kernel_context=newer)[1])
    assert len(d.engine.asks) == 2


def test_text_with_names_is_not_continued_in_another_kernel_context(desk: Callable[..., Desk]) -> None:
    d = desk('sum of all old"]', pause=0.1)
    asked = {"client": "t", "stream": True, "trigger": "invoke"}
    older = kernel_with("sum of all old", "sum of all older")
    _, replies = d.begin(request('x = df["', **asked), kernel_context=older)
    replies.within(PATIENCE)
    received(d.begin(request('x = df["s', **asked), kernel_context=kernel_with("sum of all new"))[1])
    assert d.completer.counters["continued"] == 0


# Failures of single requests -----------------------------------------------------------------------------


def test_completer_reports_a_prompt_that_fails_to_its_caller_alone(desk: Callable[..., Desk]) -> None:
    class Odd(CodePoints):
        def tokenize(self, text: str, *, continues: bool = False) -> list[int]:
            if "odd" in text:
                raise ValueError(text)
            return super().tokenize(text, continues=continues)

    d = desk("a + b")
    d.engine.vocabulary = Odd(unit=1)
    (reply,) = d.ask(RawRequest("odd"))
    assert reply.error
    assert "ValueError" in reply.error.message
    assert "odd" not in reply.error.message
    assert d.texts(RawRequest("x = ")) == ["a + b"]


def test_completer_stops_a_request_whose_prompt_is_being_tokenized(desk: Callable[..., Desk]) -> None:
    begun = threading.Event()

    class Slow(CodePoints):
        def tokenize(self, text: str, *, continues: bool = False) -> list[int]:
            while "slow" in text:
                begun.set()
                check()
            return super().tokenize(text, continues=continues)

    d = desk("a + b")
    d.engine.vocabulary = Slow(unit=1)
    job, replies = d.begin(RawRequest("slow"))
    assert begun.wait(60)
    job.cancel.set("disconnected")
    assert received(replies)[-1].finish_reason == "disconnected"
    assert d.texts(RawRequest("x = ")) == ["a + b"]


# The event loop ------------------------------------------------------------------------------------------

TABLE = KernelContext({"df": ObjectInfo(columns=["price", "unit"], all=True)}, all=True)


def hostile(**more: object) -> Completion:
    cells = [Cell(id=f"{at}", source=f"a{at} = df['unit'] + {at}\n" * 300) for at in range(20)]
    return Completion(
        cells=[*cells, Cell(id="own", source="df['p")], active=20, offset=5, path="a.ipynb", **more
    )


@pytest.mark.parametrize("trigger", ["automatic", "invoke"])
def test_submit_parses_nothing_on_the_event_loop(desk: Callable[..., Desk], trigger: str) -> None:
    d = desk("rice']", probability=1.0)
    for number in range(2):  # the second time, from the cache
        operations = Operations()
        with counted_operations(operations):
            _, replies = d.begin(hostile(trigger=trigger, eagerness="always"), kernel_context=TABLE)
        assert received(replies)[-1].items[0].text == "rice']"
        assert (operations.count, d.completer.counters["cache_hits"]) == (0, number)


def test_cached_completion_comes_while_the_worker_computes_for_another_editor(
    desk: Callable[..., Desk],
) -> None:
    d = desk("a")
    d.ask(request("x = ", client="me"))
    d.engine.prompt_pause = 2 * PATIENCE
    job, others = d.begin(request("y = ", client="other"))
    until(lambda: len(d.engine.asks) == 2)
    assert [reply.items[0].text for reply in d.ask(request("x = ", client="me"))] == ["a"]
    job.cancel.set("disconnected")
    received(others)


def test_text_does_not_wait_for_an_index_that_hangs(desk: Callable[..., Desk]) -> None:
    d, go_on = desk("a"), threading.Event()
    d.notebook_index = FakeIndex({}, go_on.wait)  # type: ignore[arg-type]
    (reply,) = d.ask(request("x = "))
    assert ([item.text for item in reply.items], reply.uncached) == (["a"], True)
    go_on.set()
