"""Requests of the prompt, and ghost text in a real terminal: IPython in a pseudo-terminal, the default model."""

import asyncio
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pexpect
import pytest
from IPython.core.events import EventManager
from IPython.terminal.shortcuts import KEY_BINDINGS
from IPython.terminal.shortcuts.auto_suggest import (
    accept,
    accept_and_keep_cursor,
    accept_and_move_cursor_left,
)
from prompt_toolkit import PromptSession
from prompt_toolkit.application.current import set_app
from prompt_toolkit.auto_suggest import Suggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import fragment_list_to_text
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import DummyInput
from prompt_toolkit.key_binding.defaults import load_key_bindings
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import DummyOutput

from jupyter_turbopilot.completer.plan import Admission
from jupyter_turbopilot.completer.reply_iterators import Listener
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.protocol.reply import Item, Reply
from jupyter_turbopilot.protocol.request import Completion, Feedback
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.terminal.in_process import InProcess
from jupyter_turbopilot.terminal.terminal import TurbopilotSuggest, turn_on

from ..index.folders import until
from ..index.notebooks import write
from ..scripted_engine import ScriptedEngine, pilot_with
from ..waiting import end_terminal

PROMPT = r"In \[(\x1b\[[0-9;]*m)*\d+(\x1b\[[0-9;]*m)*\]: "
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()=>][A-Z0-9]?|\x1b\][^\x07]*\x07|\x08|\r")


@contextmanager
def ipython(folder: Path, models: Path, *settings: str) -> Iterator[pexpect.spawn]:
    """Start IPython in a pseudo-terminal, in a folder that is indexed."""
    # Always show suggestions: this tests their behaviour, not the gate.
    profile = folder / "ipython" / "profile_default" / "ipython_config.py"
    profile.parent.mkdir(parents=True)
    profile.write_text("\n".join(["c.Turbopilot.eagerness = 'always'", *settings]))
    child = pexpect.spawn(
        sys.executable,
        ["-m", "IPython", "--no-banner", "--no-confirm-exit"],
        env={
            **os.environ,
            "IPYTHONDIR": str(folder / "ipython"),
            "TURBOPILOT_MODELS": str(models),
            "TERM": "xterm",
            "PROMPT_TOOLKIT_NO_CPR": "1",
        },
        cwd=folder,
        encoding="utf-8",
        dimensions=(40, 120),
        timeout=60,
    )
    child.expect(PROMPT)
    yield child
    end_terminal(child)


@pytest.fixture
def terminal(default_models: Path, tmp_path: Path) -> Iterator[pexpect.spawn]:
    with ipython(tmp_path, default_models) as child:
        yield child


def enter(child: pexpect.spawn, line: str) -> None:
    child.send(line)
    time.sleep(0.3)
    child.send("\r")
    child.expect(PROMPT)


def screen(child: pexpect.spawn, seconds: float) -> str:
    """Read the output for a while, without escape codes."""
    end, found = time.monotonic() + seconds, ""
    while time.monotonic() < end:
        try:
            found += child.read_nonblocking(4096, timeout=0.2)
        except pexpect.TIMEOUT:
            continue
    return _ESCAPES.sub("", found)


def wait_for(child: pexpect.spawn, text: str, seconds: float = 120) -> str:
    end, found = time.monotonic() + seconds, ""
    while text not in found:
        assert time.monotonic() < end, f"{text!r} did not appear in {found!r}"
        found += screen(child, 0.3)
    return found


def until_it_says(child: pexpect.spawn, pattern: str) -> None:
    """Run %turbopilot until its output matches."""
    end = time.monotonic() + 60
    while True:
        child.send("%turbopilot\r")
        if re.search(pattern, shown := screen(child, 1.0)):
            return
        assert time.monotonic() < end, shown


@pytest.mark.model
def test_terminal_shows_ghost_text_and_right_accepts_it(terminal: pexpect.spawn) -> None:
    enter(terminal, "%load_ext jupyter_turbopilot")
    enter(terminal, "%turbopilot on")
    enter(terminal, "def add(a, b): return a + b")
    until_it_says(terminal, "ready")  # the model loads in the background
    terminal.send("result = add(1,")
    shown = wait_for(terminal, "2)")
    assert "2)" in shown
    terminal.send("\x1b[C")  # Right
    time.sleep(0.3)
    terminal.send("\r")
    screen(terminal, 0.5)
    terminal.send("print('sum', result)\r")
    assert wait_for(terminal, "sum 3")
    screen(terminal, 0.5)
    terminal.send("values = np.")  # with its import
    wait_for(terminal, "adds import numpy as np")
    terminal.send("\x1b[C")
    time.sleep(0.3)
    terminal.send("\x1f")  # Control + _ undoes both
    time.sleep(0.3)
    terminal.send("\x15\r")
    screen(terminal, 0.5)
    terminal.send("print('np', 'np' in globals())\r")
    assert wait_for(terminal, "np False")
    screen(terminal, 0.5)
    terminal.send("values = np.")
    wait_for(terminal, "adds import numpy as np")
    terminal.send("\x1b[C")
    time.sleep(0.3)
    terminal.send("\x15" * 2)  # discard any suggestion: only the import stays
    time.sleep(0.3)
    terminal.send("\r")
    screen(terminal, 0.5)
    terminal.send("print('is', np.__name__)\r")
    assert wait_for(terminal, "is numpy")
    terminal.send("%turbopilot\r")
    assert re.search(
        r"3 of \d+ suggestions accepted this week, \d+ keystrokes saved", wait_for(terminal, "this week")
    )


def test_terminal_suggests_lines_of_two_notebooks_until_they_are_deleted(
    tiny_model: Path, tmp_path: Path
) -> None:
    line = "frobnicate_it('quay 17', depth=4096)"
    notebooks = [write(tmp_path, f"old/{name}.ipynb", line) for name in ("harbour", "tide")]
    with ipython(tmp_path, tmp_path / "models", f"c.Turbopilot.model = {str(tiny_model)!r}") as terminal:

        def shown() -> str:
            """Type the beginning of the line, and delete it again."""
            terminal.send("frobn")
            seen = screen(terminal, 1.5)
            terminal.send("\x15")  # Control + U
            return seen + screen(terminal, 0.3)

        enter(terminal, "%load_ext jupyter_turbopilot")
        enter(terminal, "%turbopilot on")
        enter(terminal, "def frobnicate_it(*_, **__): pass")
        until_it_says(terminal, r"ready(?s:.*)Index of your code: ([2-9]) of \1 files in [^,\n]*\n")
        until(lambda: line in shown())  # a busy disk may take longer than a keystroke waits
        for notebook in notebooks:
            notebook.unlink()
        assert not [seen for seen in (shown(), shown()) if "quay" in seen]


@pytest.mark.model
def test_terminal_magic_puts_code_into_the_next_input(terminal: pexpect.spawn) -> None:
    enter(terminal, "%load_ext jupyter_turbopilot")
    terminal.send("%complete x = [1, 2, 3]; y = len(\r")
    wait_for(terminal, "len(x)")
    screen(terminal, 1.0)
    terminal.send("\r")
    screen(terminal, 0.5)
    terminal.send("print('length', y)\r")
    assert wait_for(terminal, "length 3")


class Prompt:
    """A prompt with suggestions that arrive on command."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.requests: list[Completion] = []
        self.jobs: list[SimpleNamespace] = []
        self.listeners: list[Listener] = []
        self.reported: list[tuple[str, str]] = []
        names = {"table": None, 3: "three"}
        history, events = SimpleNamespace(input_hist_raw=[""]), EventManager(None, ["pre_run_cell"])
        self.history, self.events = history, events
        shell = SimpleNamespace(history_manager=history, user_ns=names, events=events)
        local = SimpleNamespace(
            ready=lambda: True,
            pilot=SimpleNamespace(completer=self),
            check=lambda: None,
            admission=lambda kernel_context: Admission(kernel_context=kernel_context),
        )
        self.suggest = TurbopilotSuggest(shell, local)  # type: ignore[arg-type]
        self.buffer = Buffer(document=Document("x = "))

    def submit(self, request: Completion, listener: Listener, admission: Admission) -> SimpleNamespace:
        kernel_context = admission.kernel_context
        assert kernel_context.all
        assert "table" in kernel_context.names
        assert kernel_context.modules.path
        self.asked.append(request.prefix)
        self.requests.append(request)
        self.listeners.append(listener)
        self.jobs.append(SimpleNamespace(cancel=Cancel()))
        return self.jobs[-1]

    def feedback(self, feedback: Feedback) -> None:
        self.reported.append((feedback.id, feedback.event))

    async def key(self) -> asyncio.Task[str | None]:
        """Do the same as prompt_toolkit at a keystroke."""

        async def text() -> str | None:
            found = await self.suggest.get_suggestion_async(self.buffer, self.buffer.document)
            return found.text if found else None

        task = asyncio.create_task(text())
        await asyncio.sleep(0.01)
        return task

    async def look(self) -> None:
        """Show the suggestion for the text as it is."""
        found = await self.suggest.get_suggestion_async(self.buffer, self.buffer.document)
        self.buffer.suggestion = found

    def connect(self, text: str) -> PromptSession[str]:
        """Connect the suggestions to a session with a text."""
        session: PromptSession[str] = PromptSession(input=DummyInput(), output=DummyOutput())
        self.buffer = session.default_buffer
        self.buffer.document = Document(text)
        self.suggest.connect(session)
        return session

    @property
    def ended(self) -> list[bool]:
        return [job.cancel.is_set() for job in self.jobs]


async def test_next_keystroke_requests_at_once_and_continues_the_generation() -> None:
    prompt = Prompt()
    first = await prompt.key()
    prompt.buffer.insert_text("v")
    assert await asyncio.wait_for(first, 1) is None
    second = await prompt.key()
    assert prompt.asked == ["x = ", "x = v"]
    assert prompt.ended == [False, False]
    prompt.listeners[1](Reply("b", "model", (Item("alue", 0.9, "stop"),), done=True))
    assert await asyncio.wait_for(second, 1) == "alue"
    assert prompt.reported == [("b", "shown")]


async def test_generation_ends_with_the_prompt() -> None:
    prompt = Prompt()
    (await prompt.key()).cancel()
    await asyncio.sleep(0.01)
    assert prompt.ended == [True]
    waiting = await prompt.key()
    prompt.buffer.document = Document("")
    await asyncio.wait_for(waiting, 1)
    await prompt.key()
    assert prompt.ended == [True, True]


@pytest.mark.parametrize(("uncached", "asked"), [(True, ["x = v", "x = v"]), (False, ["x = v"])])
async def test_index_matches_are_requested_again_after_other_text(uncached: bool, asked: list[str]) -> None:
    prompt = Prompt()
    prompt.connect("x = v")
    shown = await prompt.key()
    prompt.listeners[-1](Reply("a", "model", (Item("alue", 0.9, "stop"),), done=True, uncached=uncached))
    assert await asyncio.wait_for(shown, 1) == "alue"
    prompt.buffer.insert_text("al")
    assert await (await prompt.key()) == "ue"
    prompt.buffer.delete_before_cursor(7)
    prompt.buffer.insert_text("x = v")
    again = await prompt.key()
    assert prompt.asked == asked
    again.cancel()


async def _with_import(prompt: Prompt) -> None:
    """Show a suggestion that needs an import."""
    shown = await prompt.key()
    item = Item("sns.heatmap(table)", 0.9, "stop", imports=("import seaborn as sns",))
    prompt.listeners[-1](Reply("a", "model", (item,), done=True))
    assert await asyncio.wait_for(shown, 1) == "sns.heatmap(table)"


async def test_accepting_a_suggestion_inserts_its_import() -> None:
    prompt = Prompt()
    session = PromptSession(input=DummyInput(), output=DummyOutput())
    prompt.buffer = session.default_buffer
    prompt.buffer.document = Document("x = ")
    session.rprompt = "12:00"
    prompt.suggest.connect(session)
    assert session.rprompt() == [("", "12:00")]
    await _with_import(prompt)
    await prompt.look()
    assert session.rprompt() == [("class:auto-suggestion", "adds import seaborn as sns")]
    prompt.buffer.save_to_undo_stack()  # as prompt_toolkit does before each keystroke
    prompt.buffer.insert_text("sns")
    assert prompt.buffer.text == "import seaborn as sns\nx = sns"
    assert session.rprompt() == [("", "12:00")]
    assert await (await prompt.key()) == ".heatmap(table)"
    left = await prompt.suggest.get_suggestion_async(prompt.buffer, prompt.buffer.document)
    assert left
    assert left.imports == ()  # already inserted
    prompt.buffer.insert_text(".heatmap(table)")
    assert prompt.buffer.text == "import seaborn as sns\nx = sns.heatmap(table)"
    assert prompt.buffer.cursor_position == len(prompt.buffer.text)
    prompt.buffer.undo()
    assert prompt.buffer.text == "x = "
    assert len(prompt.asked) == 1
    prompt.suggest.disconnect()
    assert session.rprompt == "12:00"


@pytest.mark.parametrize(
    ("take", "left"),
    [
        (accept, ""),
        (accept_and_keep_cursor, "sns.heatmap(table)"),
        (accept_and_move_cursor_left, " sns.heatmap(table)"),
    ],
)
async def test_cursor_moves_to_the_position_of_the_key(take: Callable[[Any], None], left: str) -> None:
    prompt = Prompt()
    prompt.connect("x = ")
    await _with_import(prompt)
    await prompt.look()
    take(SimpleNamespace(current_buffer=prompt.buffer, arg=1))
    assert prompt.buffer.text == "import seaborn as sns\nx = sns.heatmap(table)"
    assert prompt.buffer.document.text_after_cursor == left
    await asyncio.sleep(0.01)
    prompt.buffer.cursor_position = 4  # the position that another keystroke would restore
    assert prompt.buffer.cursor_position == 4


async def test_typing_along_a_suggestion_inserts_no_import() -> None:
    prompt = Prompt()
    prompt.buffer.on_text_insert += prompt.suggest.inserted
    await _with_import(prompt)
    for character in "sns.heatmap(table)":
        prompt.buffer.insert_text(character)
    assert prompt.buffer.text == "x = sns.heatmap(table)"


async def test_accepting_a_part_without_the_name_inserts_no_import() -> None:
    prompt = Prompt()
    prompt.buffer.on_text_insert += prompt.suggest.inserted
    shown = await prompt.key()
    item = Item("table + np.pi", 0.9, "stop", imports=("import numpy as np",))
    prompt.listeners[-1](Reply("a", "model", (item,), done=True))
    await shown
    prompt.buffer.insert_text("table ")
    assert prompt.buffer.text == "x = table "
    prompt.buffer.insert_text("+ np.pi")
    assert prompt.buffer.text == "import numpy as np\nx = table + np.pi"


def _reply(*texts: str) -> Reply:
    return Reply("b", "model", tuple(Item(text, 0.9, "stop") for text in texts), done=True)


async def _pressed(prompt: Prompt, command: Callable[[Buffer], Awaitable[bool]], *texts: str) -> bool:
    """Press a key that requests suggestions, and let the model answer its request."""
    asked = len(prompt.asked)
    task = asyncio.ensure_future(command(prompt.buffer))
    await asyncio.sleep(0.01)
    if len(prompt.asked) > asked:
        prompt.listeners[-1](_reply(*texts))
    return await asyncio.wait_for(task, 1)


def _shown(prompt: Prompt) -> str:
    return prompt.buffer.suggestion.text if prompt.buffer.suggestion else ""


async def test_request_shows_unsure_suggestions() -> None:
    prompt = Prompt()
    assert not await _pressed(prompt, prompt.suggest.request)
    assert await _pressed(prompt, prompt.suggest.request, "table.x")
    assert _shown(prompt) == "table.x"
    assert prompt.requests[-1].trigger == "invoke"
    assert await _pressed(prompt, prompt.suggest.request)
    assert len(prompt.asked) == 2  # already shown
    prompt.buffer.document = Document("x = +y", 4)
    assert not await _pressed(prompt, prompt.suggest.request)


async def test_request_next_cycles_through_suggestions() -> None:
    prompt = Prompt()
    assert await _pressed(prompt, prompt.suggest.request, "one")
    assert await _pressed(prompt, prompt.suggest.request_next, "one", "on", "two", "two", "")
    assert _shown(prompt) == "two"
    assert await _pressed(prompt, prompt.suggest.request_next)
    assert _shown(prompt) == "one"
    assert [request.n > 1 for request in prompt.requests] == [False, True]
    assert [event for _, event in prompt.reported] == ["shown", "dismissed"] * 2 + ["shown"]
    prompt.buffer.insert_text("o")
    await prompt.look()
    assert not await _pressed(prompt, prompt.suggest.request_next, "ne")
    assert _shown(prompt) == "ne"


async def test_connect_and_disconnect_restore_keys_and_style() -> None:
    prompt = Prompt()
    session = PromptSession(input=DummyInput(), output=DummyOutput())
    grey = session.app.style.get_attrs_for_style_str("class:auto-suggestion")
    configured = session.style, session.key_bindings, session.rprompt
    prompt.suggest.connect(session)
    bound = {tuple(binding.keys) for binding in session.key_bindings.bindings}
    assert bound == {(Keys.F3,), (Keys.F4,), (Keys.Escape, "s"), (Keys.Escape, "n")}
    prompt.buffer = session.default_buffer
    prompt.buffer.insert_text("x = ")
    assert session.app.style.get_attrs_for_style_str("class:auto-suggestion") == grey
    await _pressed(prompt, prompt.suggest.request_next, "one", "two")
    assert session.app.style.get_attrs_for_style_str("class:auto-suggestion") != grey
    assert session.rprompt() == [("class:auto-suggestion", "1 of 2")]
    prompt.suggest.disconnect()
    assert (session.style, session.key_bindings, session.rprompt) == configured


async def test_terminal_shows_each_line_of_a_suggestion_on_a_row() -> None:
    prompt = Prompt()
    session = PromptSession(input=DummyInput(), output=DummyOutput())
    buffer = session.default_buffer
    control = session.layout.current_control

    def rows() -> list[str]:
        with set_app(session.app):  # a suggestion is displayed in the focused buffer
            content = control.create_content(80, 10)
            return [fragment_list_to_text(content.get_line(at)) for at in range(content.line_count)]

    buffer.document = Document("def f(x):\n    ")
    buffer.suggestion = Suggestion("y = x\n    return y")
    assert rows() == ["def f(x): ", "    y = x\n    return y "]
    prompt.suggest.connect(session)
    assert rows() == ["def f(x): ", "    y = x", "    return y "]
    buffer.suggestion = None
    assert rows() == ["def f(x): ", "     "]
    buffer.suggestion = Suggestion("y = x\n    return y")
    prompt.suggest.disconnect()
    assert rows() == ["def f(x): ", "    y = x\n    return y "]


def test_suggestion_keys_are_free_in_ipython() -> None:
    bound = {
        tuple(getattr(key, "value", key) for key in binding.keys)
        for binding in load_key_bindings().bindings
        if binding.handler.__name__ != "_ignore"
    }
    bound |= {tuple(binding.keys) for binding in KEY_BINDINGS}
    assert ("escape", "f") in bound
    assert not bound & {("f3",), ("f4",), ("escape", "s"), ("escape", "n")}


async def test_outcomes_follow_the_keys_and_executions() -> None:
    prompt = Prompt()
    session = prompt.connect("x = ")
    await _pressed(prompt, prompt.suggest.request, "table")
    prompt.buffer.insert_text("table")
    prompt.buffer.delete_before_cursor(9)
    prompt.buffer.insert_text("x = table")
    session.app.key_processor.after_key_press.fire()
    prompt.events.trigger("pre_run_cell", SimpleNamespace(raw_cell="x = table"))
    assert prompt.reported == [("b", event) for event in ("shown", "accepted", "executed", "retained")]


def test_history_does_not_suggest_failed_inputs() -> None:
    prompt = Prompt()
    history = InMemoryHistory(["pd.read_csv('a')", "pd.read_('x.csv')"])
    prompt.buffer = Buffer(document=Document("pd."), history=history)
    asyncio.run(_load(history))
    prompt.history.input_hist_raw = ["", "pd.read_('x.csv')"]
    suggest = prompt.suggest.get_suggestion
    assert suggest(prompt.buffer, prompt.buffer.document).text == "read_('x.csv')"
    prompt.history.exceptions = {1: {"ename": "AttributeError"}}
    assert suggest(prompt.buffer, prompt.buffer.document).text == "read_csv('a')"


async def _load(history: InMemoryHistory) -> None:
    async for _ in history.load():
        pass


@pytest.mark.parametrize("why", ["the folder is gone", "it is the whole disk", "it is switched off"])
def test_turn_on_indexes_nothing_without_a_folder_or_if_disabled(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    settings = Turbopilot(model=str(tiny_model), notebook_index=why != "it is switched off")
    local = InProcess(settings)
    local.pilot = pilot_with(settings, lambda *_: ScriptedEngine("1"))
    if why == "the folder is gone":
        (tmp_path / "work").rmdir()
    elif why == "it is the whole disk":
        monkeypatch.chdir("/")
    shell: Any = SimpleNamespace(auto_suggest=None, pt_app=None)
    turn_on(shell, local)
    assert isinstance(shell.auto_suggest, TurbopilotSuggest)
    assert local.pilot.notebook_index is None
    local.pilot.stop()
