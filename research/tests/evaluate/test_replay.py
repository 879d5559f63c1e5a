from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from types import SimpleNamespace
from typing import ClassVar

import pytest

from jupyter_turbopilot.analysis.kernel_context import NONE, KernelContext, ObjectInfo
from jupyter_turbopilot.completer.plan import LOCAL, Admission
from jupyter_turbopilot.protocol.reply import Item, Reply
from jupyter_turbopilot.protocol.request import Completion
from turbopilot_research.evaluate import replay, traces
from turbopilot_research.evaluate.sources import OwnSource

from .conftest import CODE


class Knows:
    """Returns a function's suggestion at once."""

    def __init__(self, says: Callable[[Completion], str]) -> None:
        self.says = says
        self.asked: list[Completion] = []
        self.kernel_context: list[KernelContext] = []
        self.callers: list[str] = []
        self.tenants: list[str] = []
        self.counters = {"continued": 3, "ended": 0}
        self.pilot = SimpleNamespace(
            completer=self,
            worker=SimpleNamespace(engine=SimpleNamespace(capabilities=SimpleNamespace(remote=False))),
        )

    def last(self, request: Completion, kernel_context: KernelContext = NONE) -> Reply:
        self.kernel_context.append(kernel_context)
        self.asked.append(request)
        text = self.says(request)
        return Reply("id", "model", (Item(text, 0.9, "stop"),) if text else (), done=True)

    def submit(
        self, request: Completion, listener: Callable[[Reply], None], admission: Admission = LOCAL
    ) -> None:
        self.callers.append(admission.caller)
        self.tenants.append(admission.tenant)
        self.counters["continued"] += request.trigger == "automatic"
        listener(self.last(request, admission.kernel_context))


def rest_of_line(request: Completion) -> str:
    return CODE[request.offset :].split("\n", maxsplit=1)[0] if CODE.startswith(request.prefix) else ""


def test_by_keystrokes_saves_typing_with_perfect_suggestions(appended: list[traces.Trace]) -> None:
    typed = replay.by_keystrokes(Knows(rest_of_line), appended, lambda _: None)  # type: ignore[arg-type]
    assert typed.total.precision == 1.0
    assert typed.total.share_saved > 0.5
    assert typed.notebooks.keys() == {"a.ipynb"}


def test_by_keystrokes_sends_no_request_within_accepted_text(appended: list[traces.Trace]) -> None:
    knows = Knows(rest_of_line)
    replay.by_keystrokes(knows, appended, lambda _: None)  # type: ignore[arg-type]
    offsets = [request.offset for request in knows.asked]
    assert offsets == [4, 20, 32, 36]


def test_on_a_clock_counts_only_suggestions_before_the_next_keystroke(appended: list[traces.Trace]) -> None:
    source = OwnSource(Knows(rest_of_line))  # type: ignore[arg-type]
    typed = replay.in_real_time(source, appended, lambda _: None, replay.steady(0.004))
    assert typed.total.saved > 0

    class Late(Knows):
        def submit(self, request: Completion, listener: Callable[[Reply], None], *_: object) -> None:
            pass

    typed = replay.in_real_time(OwnSource(Late(rest_of_line)), appended, lambda _: None, replay.steady(0.004))  # type: ignore[arg-type]
    assert typed.total.saved == 0


def test_on_a_clock_types_along_without_requests_and_prefetches(
    appended: list[traces.Trace],
) -> None:
    # Correct for the next four characters only.
    knows = Knows(lambda request: CODE[request.offset :][:6] + "??")
    typed = replay.in_real_time(OwnSource(knows), appended, lambda _: None, replay.steady(0.004))  # type: ignore[arg-type]
    asked = [(request.trigger, request.prefix) for request in knows.asked]
    assert asked[:4] == [
        ("warmup", ""),
        ("automatic", CODE[:4]),
        ("prefetch", CODE[:10] + "??"),
        ("automatic", CODE[:12]),
    ]
    assert typed.pace
    assert typed.pace.continued == typed.pace.asked


def test_on_a_clock_requests_contain_the_latest_kernel_context(appended: list[traces.Trace]) -> None:
    class Live:
        names: ClassVar[list[str]] = []
        run = 0

        def run_while_typing(self, _: traces.Trace) -> Callable[[], KernelContext]:
            self.run += 1
            return lambda: KernelContext({str(len(knows.asked)): ObjectInfo()})

        def count_names(self, _: object, __: str, text: str) -> None:
            self.names.append(text)

    knows, live = Knows(rest_of_line), Live()
    replay.in_real_time(
        OwnSource(knows),  # type: ignore[arg-type]
        appended,
        lambda _: None,
        replay.steady(0.004),
        live=live,  # type: ignore[arg-type]
    )
    assert live.run == len(appended)
    assert live.names
    triggers = [request.trigger for request in knows.asked]
    assert triggers[:4] == ["warmup", "automatic", "prefetch", "automatic"]
    assert [*chain(*(context.names for context in knows.kernel_context))][:4] == ["0", "1", "1", "3"]


def test_on_a_clock_counts_replaced_text_as_reversed(appended: list[traces.Trace]) -> None:
    class Fickle(Knows):
        def submit(self, request: Completion, listener: Callable[[Reply], None], *_: object) -> None:
            for text in ("wrong", "wrong name", "other"):
                listener(Reply("id", "model", (Item(text, 0.9, "stop"),), done=text == "other"))

    source = OwnSource(Fickle(rest_of_line))  # type: ignore[arg-type]
    typed = replay.in_real_time(source, appended[:1], lambda _: None, replay.steady(0.004))
    assert typed.total.grown == 2 * typed.total.reversed > 0


def test_on_a_clock_counts_suggestions_that_cannot_become_valid(appended: list[traces.Trace]) -> None:
    source = OwnSource(Knows(lambda _: " = = 1"))  # type: ignore[arg-type]
    typed = replay.in_real_time(source, appended[:1], lambda _: None, replay.steady(0.004))
    assert typed.invalid == typed.total.shown > 0


@pytest.mark.parametrize("remote", [False, True])
def test_cpu_seconds_are_unknown_outside_this_process(appended: list[traces.Trace], remote: bool) -> None:
    knows = Knows(rest_of_line)
    knows.pilot.worker.engine.capabilities.remote = remote
    typed = replay.in_real_time(OwnSource(knows), appended[:1], lambda _: None, replay.steady(0.004))  # type: ignore[arg-type]
    assert typed.pace
    assert (typed.pace.cpu is None) == remote


def test_on_a_clock_one_of_several_users_does_not_wait_for_warm_up(
    appended: list[traces.Trace],
) -> None:
    knows = Knows(rest_of_line)
    replay.in_real_time(OwnSource(knows, "a"), appended, lambda _: None, replay.steady(0.004), pause=0.001)  # type: ignore[arg-type]
    assert set(knows.callers) == set(knows.tenants) == {"a"}
    assert len(knows.callers) == len(knows.asked)
