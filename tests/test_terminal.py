"""Ghost text in a real terminal: IPython in a pseudo-terminal, the real default model."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

pytestmark = pytest.mark.model

PROMPT = r"In \[(\x1b\[[0-9;]*m)*\d+(\x1b\[[0-9;]*m)*\]: "
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()=>][A-Z0-9]?|\x1b\][^\x07]*\x07|\x08|\r")


@pytest.fixture
def terminal(default_model: Path, tmp_path: Path) -> Iterator[pexpect.spawn]:
    folder = tmp_path / "models"
    folder.mkdir(exist_ok=True)
    (folder / default_model.name).symlink_to(default_model)
    # How grey text behaves is tested here, not when it is worth showing.
    settings = tmp_path / "ipython" / "profile_default" / "ipython_config.py"
    settings.parent.mkdir(parents=True)
    settings.write_text("c.Turbopilot.eagerness = 'always'\n")
    child = pexpect.spawn(
        sys.executable,
        ["-m", "IPython", "--no-banner", "--no-confirm-exit"],
        env={
            **os.environ,
            "IPYTHONDIR": str(tmp_path / "ipython"),
            "TURBOPILOT_MODELS": str(folder),
            "TERM": "xterm",
            "PROMPT_TOOLKIT_NO_CPR": "1",
        },
        encoding="utf-8",
        dimensions=(40, 120),
        timeout=60,
    )
    child.expect(PROMPT)
    yield child
    child.close(force=True)


def enter(child: pexpect.spawn, line: str) -> None:
    child.send(line)
    time.sleep(0.3)
    child.send("\r")
    child.expect(PROMPT)


def screen(child: pexpect.spawn, seconds: float) -> str:
    """Read what is written for a while, without the terminal's own codes."""
    end, found = time.monotonic() + seconds, ""
    while time.monotonic() < end:
        try:
            found += child.read_nonblocking(4096, timeout=0.2)
        except pexpect.TIMEOUT:
            continue
    return _ESCAPES.sub("", found)


def wait_for(child: pexpect.spawn, text: str, seconds: float = 30) -> str:
    end, found = time.monotonic() + seconds, ""
    while text not in found:
        assert time.monotonic() < end, f"{text!r} did not appear in {found!r}"
        found += screen(child, 0.3)
    return found


def test_grey_text_appears_and_right_takes_it(terminal: pexpect.spawn) -> None:
    enter(terminal, "%load_ext jupyter_turbopilot")
    enter(terminal, "%turbopilot on")
    enter(terminal, "def add(a, b): return a + b")
    deadline = time.monotonic() + 60
    while True:  # the model loads in the background
        terminal.send("%turbopilot\r")
        if "ready" in screen(terminal, 1.0):
            break
        assert time.monotonic() < deadline
    terminal.send("result = add(1,")
    shown = wait_for(terminal, "2)")
    assert "2)" in shown
    terminal.send("\x1b[C")  # Right
    time.sleep(0.3)
    terminal.send("\r")
    screen(terminal, 0.5)
    terminal.send("print('sum', result)\r")
    assert wait_for(terminal, "sum 3")


def test_the_magic_puts_code_into_the_next_input_to_be_run_by_the_person(terminal: pexpect.spawn) -> None:
    enter(terminal, "%load_ext jupyter_turbopilot")
    terminal.send("%complete x = [1, 2, 3]; y = len(\r")
    wait_for(terminal, "len(x)")
    screen(terminal, 1.0)
    terminal.send("\r")
    screen(terminal, 0.5)
    terminal.send("print('length', y)\r")
    assert wait_for(terminal, "length 3")
