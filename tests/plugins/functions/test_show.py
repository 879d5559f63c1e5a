import ast
from collections.abc import Callable, Iterator

import pytest
from IPython.utils.capture import capture_output

from jupyter_turbopilot.plugins.functions.request import Event, FunctionRequest
from jupyter_turbopilot.plugins.functions.show import TreeOutput, write
from jupyter_turbopilot.protocol.errors import EngineError, TurbopilotError

from .play import bodies, play


def printed(events: list[Event]) -> list[str]:
    """Return the lines without a terminal."""
    with capture_output() as captured:
        output = TreeOutput(terminal=True)
        for event in events:
            output.show(event)
    assert output.done is events[-1]
    return [*output.functions, *captured.stderr.splitlines()]


def test_tree_output_shows_callees_below_their_caller() -> None:
    events = play(
        "def f(x):",
        bodies(f="return g(x) + known(x) + len_(x, 1)\n", g="return h(x)", h="("),
        names=["known"],
    )
    assert printed(events) == [
        *("f", "g", "len_", "h"),
        "○ f(x)",
        "● f(x)  2 lines",
        "  ○ g(x)",
        "  ○ len_(x, value)",
        "  ● g(x)  3 lines",
        "    ○ h(x)",
        "  ● len_(x, value)  3 lines",
        "    ✗ h(x)  the model generated no body that parses",
    ]


def test_tree_output_prints_lines_without_control_sequences() -> None:
    with capture_output() as captured:
        output = TreeOutput(terminal=True)
        output.show(Event(event="found", name="f", source="f(x='\x1b[31m')"))
        output.show(Event(event="writing", name="f", source="def f(x):\n    y"))
        output.show(Event(event="finished", name="f", source="def f(x):\n    y"))
    assert captured.stderr.count("\n") == 2
    assert "\x1b" not in captured.stderr


def test_tree_output_updates_one_display_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    displayed: list[str] = []
    updated: list[str] = []

    class Handle:
        def update(self, data: dict[str, str], *, raw: bool) -> None:
            updated.append(data["text/plain"])

    def display(data: dict[str, str], *, raw: bool, display_id: bool = False) -> Handle:
        displayed.append(data["text/html"])
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    output = TreeOutput(terminal=False)
    for event in play("def f(x='<b>'):", bodies(f="return g(x) < k(1)", g="return h(x)")):
        output.show(event)
    assert len(displayed) == 1
    assert ">○ f(x=&#x27;&lt;b&gt;&#x27;)</pre>" in displayed[0]
    assert updated[0] == "◐ f(x='<b>')  …"
    assert updated[-1].splitlines() == [
        "● f(x='<b>')  2 lines",
        "  ● g(x)  3 lines",
        "    ● h(x)  3 lines",
        "  ● k(value)  3 lines",
    ]


STUB = "import math\n\ndef double(x):\n    '''Double it.'''"


def stopped_at(stop: Callable[[Event], bool], body: str) -> tuple[str, BaseException | None]:
    """Return the result of a generation that the user interrupts at an event."""

    def events() -> Iterator[Event]:
        for event in play(STUB, bodies(double=body, half="return x / 2")):
            if stop(event):
                raise KeyboardInterrupt
            yield event

    with capture_output():
        return write(FunctionRequest(source=STUB), events(), TreeOutput(terminal=True))


def test_write_keeps_finished_functions_after_an_interrupt() -> None:
    source, error = stopped_at(lambda event: event.name == "half", "return half(x) * math.pi")
    assert isinstance(error, KeyboardInterrupt)
    assert source.startswith("# Not defined here: half.\nimport math\n\n\ndef double(x):")
    ast.parse(source)


def test_write_returns_nothing_after_an_early_interrupt() -> None:
    source, error = stopped_at(lambda event: event.event == "finished", "return 1")
    assert isinstance(error, KeyboardInterrupt)
    assert source == ""


@pytest.mark.parametrize("lost", [EngineError("The engine broke."), None])
def test_write_keeps_finished_functions_after_an_error(lost: EngineError | None) -> None:
    def events() -> Iterator[Event]:
        for event in play(STUB, bodies(double="return half(x)")):
            if event.name == "half":
                break
            yield event
        if lost:
            raise lost

    with capture_output():
        source, error = write(FunctionRequest(source=STUB), events(), TreeOutput(terminal=True))
    assert "# Not defined here: half." in source
    assert "return half(x)" in source
    assert isinstance(error, TurbopilotError)
    assert error.message == ("The engine broke." if lost else "The answer ended too early.")


def test_write_raises_the_error_without_finished_functions() -> None:
    def events() -> Iterator[Event]:
        yield Event(event="found", name="f", source="f()")
        raise EngineError("The engine broke.")

    with capture_output(), pytest.raises(EngineError):
        write(FunctionRequest(source=STUB), events(), TreeOutput(terminal=True))
