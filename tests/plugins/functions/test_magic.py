from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

import pytest
from IPython.utils.capture import capture_output

from jupyter_turbopilot.plugins.functions.event import Event
from jupyter_turbopilot.plugins.functions.magic import UNFINISHED, Functions, write
from jupyter_turbopilot.plugins.functions.request import FunctionRequest
from jupyter_turbopilot.plugins.functions.tree_output import TreeOutput
from jupyter_turbopilot.protocol.errors import EngineError

from .play import bodies, play

STUB = "import math\n\ndef double(x):\n    '''Double it.'''"


def stopped_at(stop: Callable[[Event], bool], body: str) -> Functions:
    """Return the functions of a generation that the user interrupts at an event."""

    def ask(request: FunctionRequest) -> Iterator[Event]:
        for event in play(request.source, bodies(double=body, half="return x / 2")):
            if stop(event):
                raise KeyboardInterrupt
            yield event

    with capture_output():
        return write(FunctionRequest(source=STUB), ask, TreeOutput(terminal=True))


def test_write_keeps_finished_functions_after_an_interrupt() -> None:
    written = stopped_at(lambda event: event.name == "half", "return half(x) * math.pi")
    assert written.stopped
    assert written.undefined == ("half",)
    assert written.source.startswith("# Not defined here: half.\nimport math\n\n\ndef double(x):")
    ast.parse(written.source)


def test_write_returns_nothing_after_an_early_interrupt() -> None:
    written = stopped_at(lambda event: event.event == "finished", "return 1")
    assert (written.stopped, written.source) == (True, "")


@pytest.mark.parametrize("lost", [EngineError("The engine\x1b[31m broke."), None])
def test_write_keeps_finished_functions_after_an_error(lost: EngineError | None) -> None:
    def ask(request: FunctionRequest) -> Iterator[Event]:
        for event in play(request.source, bodies(double="return half(x)")):
            if event.name == "half":
                break
            yield event
        if lost:
            raise lost

    with capture_output():
        written = write(FunctionRequest(source=STUB), ask, TreeOutput(terminal=True))
    assert "return half(x)" in written.source
    assert written.undefined == ("half",)
    assert written.broken == ("The engine\N{REPLACEMENT CHARACTER}[31m broke." if lost else UNFINISHED)


def test_write_raises_the_error_without_finished_functions() -> None:
    def ask(request: FunctionRequest) -> Iterator[Event]:
        yield Event(event="found", name="f", source="f()")
        raise EngineError("The engine broke.")

    with capture_output(), pytest.raises(EngineError):
        write(FunctionRequest(source=STUB), ask, TreeOutput(terminal=True))
