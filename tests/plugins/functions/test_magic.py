from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

import pytest
from IPython.utils.capture import capture_output

from jupyter_turbopilot.plugins.functions.event import Event
from jupyter_turbopilot.plugins.functions.magic import ATTEMPTS, UNFINISHED, Functions, write
from jupyter_turbopilot.plugins.functions.request import FunctionRequest
from jupyter_turbopilot.plugins.functions.tree_output import TreeOutput
from jupyter_turbopilot.protocol.errors import BadRequestError, EngineError

from .play import bodies, play

STUB = "import math\n\ndef double(x):\n    '''Double it.\n\n    >>> double(2)\n    4\n    '''"


class Person:
    """Runs generations and records the messages."""

    def __init__(self, *texts: str, stop: Callable[[Event], bool] = lambda _: False) -> None:
        self.texts = iter(texts)
        self.stop = stop
        self.message: list[str] = []
        self.attempts: list[int] = []

    def ask(self, request: FunctionRequest) -> Iterator[Event]:
        self.attempts.append(request.attempt)
        text = next(self.texts)
        for event in play(request.source, bodies(double=text, half="return x / 2")):
            if self.stop(event):
                raise KeyboardInterrupt
            yield event

    def write(self, source: str = STUB, *, test: bool = False) -> Functions:
        with capture_output():
            return write(
                FunctionRequest(source=source),
                self.ask,
                TreeOutput(terminal=True),
                self.message.append,
                test=test,
            )


def test_write_retries_failed_functions_with_another_seed() -> None:
    person = Person("return x", "return x + x")
    written = person.write(test=True)
    assert "return x + x" in written.source
    assert person.attempts == [0, 1]
    assert any("`double(2)` gave 2, expected 4" in words for words in person.message)


def test_write_reports_and_keeps_the_first_of_equal_failures() -> None:
    person = Person(*(f"return {number}" for number in range(9)))
    written = person.write(test=True)
    assert "return 0" in written.source
    assert "expected 4" in written.failed
    assert person.attempts == [*range(ATTEMPTS)]
    assert person.message[-1] == "Keeping attempt 1 of 4. `double(2)` gave 0, expected 4"


EXAMPLES = (
    "def double(x):\n    '''Double it.\n\n    >>> double(2)\n    4\n    >>> double(3)\n    6\n    {}\n    '''"
)


@pytest.mark.parametrize(
    ("texts", "kept"),
    [
        (["return double(x)", "return 4", "return x", "return 4.0"], 2),
        (["return 1 /", "return x", "return x + 2", "return 4 "], 3),
        (["return x", "return 4", "return 4 ", "return 4  "], 2),
    ],
)
def test_write_keeps_the_attempt_that_gets_furthest(texts: list[str], kept: int) -> None:
    person = Person(*texts)
    written = person.write(EXAMPLES.format(""), test=True)
    assert texts[kept - 1].rstrip() in written.source
    assert person.message[-1] == f"Keeping attempt {kept} of 4. {written.failed}"


@pytest.mark.parametrize("example", [">>> import os; os.fork()", ">>> 1 + 1\n    3"])
def test_write_does_not_retry_an_unaffected_example(example: str) -> None:
    person = Person("return x * 2")
    written = person.write(EXAMPLES.format(example), test=True)
    assert written.failed
    assert person.attempts == [0]
    assert "No function can change" in person.message[-1]


def test_write_tests_code_with_magics_above() -> None:
    person = Person("return x + len(files)")
    source = f"%matplotlib inline\nfiles = [1, 2]\n!ls\n{STUB.partition('math')[2].strip()}"
    written = person.write(source, test=True)
    assert written.failed == ""
    assert written.source.startswith("%matplotlib inline\nfiles = [1, 2]\n!ls\n")


def test_write_runs_nothing_without_doctests() -> None:
    person = Person("return 1 / 0\n    '''\n    >>> double(2)\n    3\n    '''")
    assert person.write("def double(x):", test=True).failed == ""
    assert "nothing is run" in person.message[0]


def test_write_rejects_invalid_doctests() -> None:
    with pytest.raises(BadRequestError, match="doctests"):
        Person("return x").write("def double(x):\n    '''\n    >>>double(2)\n    4\n    '''", test=True)


def test_write_keeps_finished_functions_after_an_interrupt() -> None:
    person = Person("return half(x) * math.pi", stop=lambda event: event.name == "half")
    written = person.write()
    assert written.stopped
    assert written.undefined == ("half",)
    assert written.source.startswith("# Not defined here: half.\nimport math\n\n\ndef double(x):")
    ast.parse(written.source)


def test_write_returns_nothing_after_an_early_interrupt() -> None:
    written = Person("return 1", stop=lambda event: event.event == "finished").write()
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
        written = write(FunctionRequest(source=STUB), ask, TreeOutput(terminal=True), print)
    assert "return half(x)" in written.source
    assert written.undefined == ("half",)
    assert written.broken == ("The engine\N{REPLACEMENT CHARACTER}[31m broke." if lost else UNFINISHED)


def test_write_raises_the_error_without_finished_functions() -> None:
    def ask(request: FunctionRequest) -> Iterator[Event]:
        yield Event(event="found", name="f", source="f()")
        raise EngineError("The engine broke.")

    with capture_output(), pytest.raises(EngineError):
        write(FunctionRequest(source=STUB), ask, TreeOutput(terminal=True), print)


def test_write_keeps_the_first_attempt_after_a_later_failure() -> None:
    for raised in (EngineError("The engine broke."), KeyboardInterrupt()):
        person = Person("return x")

        def ask(
            request: FunctionRequest, person: Person = person, raised: BaseException = raised
        ) -> Iterator[Event]:
            if request.attempt:
                raise raised
            return person.ask(request)

        with capture_output():
            written = write(FunctionRequest(source=STUB), ask, TreeOutput(terminal=True), print, test=True)
        assert "return x" in written.source
        assert bool(written.broken) != written.stopped


def test_write_keeps_the_first_attempt_after_ctrl_c_in_a_message() -> None:
    def tell(words: str) -> None:
        if "fails" in words:
            raise KeyboardInterrupt

    with capture_output():
        written = write(
            FunctionRequest(source=STUB), Person("return x").ask, TreeOutput(terminal=True), tell, test=True
        )
    assert written.stopped
    assert "return x" in written.source


def test_write_escapes_control_characters_of_doctests() -> None:
    person = Person(*["return chr(27) + ']0;owned' + chr(7)"] * 9)
    written = person.write(STUB, test=True)
    message = "".join(person.message) + written.failed
    assert "owned" in message
    assert "\x1b" not in message
