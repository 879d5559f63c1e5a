"""Run the documented cells and programs unchanged, unless their page gives a reason not to."""

import doctest
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import msgspec
import pexpect
import pytest

from jupyter_turbopilot.jupyter.routes import base, endpoint

from ..scripted_engine import ScriptedEngine
from ..serving import Server
from ..terminal import conftest, test_magics
from ..waiting import end_terminal
from .pages import ROOT, Block, blocks

HERE, KEY = "http://127.0.0.1:18080", "the key"  # of the documented server

# Sessions with a scripted model.
shell, says = conftest.shell, test_magics.says


def programs() -> list[Block]:
    return [block for block in blocks() if block.is_program and not block.reason]


def the(words: str) -> Block:
    """Return the program that contains all words."""
    found = [block for block in programs() if words in block.text]
    assert len(found) == 1, f"{len(found)} programs have “{words}”"
    return found[0]


TUTORIAL = [block for block in programs() if block.page.name == "tutorial.md"]
RUN = [
    *TUTORIAL,
    LOADING := the("%load_ext jupyter_turbopilot\n%turbopilot on"),
    CELL := the("def is_even"),
    STUB := the("%%complete --helpers"),
    WRITTEN := the("# Called as is_prime(prime)"),
    WORKER := the("service-worker.js"),
    OPENAI := the("from openai import"),
    HUGGING_FACE := the("from huggingface_hub import"),
    ROUTE := the("class ColorsRoute"),
]


def test_programs_are_run_or_have_a_reason() -> None:
    lost = [block.place for block in programs() if block not in RUN]
    assert not lost, f"run them here, or put <!-- not run: why --> above them: {lost}"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_two_lines_enable_ghost_text_in_a_terminal(tmp_path: Path, tiny_model: Path) -> None:
    settings = tmp_path / "ipython" / "profile_default" / "ipython_config.py"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"c.Turbopilot.model = {str(tiny_model)!r}\nc.Turbopilot.notebook_index = False\n")
    terminal = pexpect.spawn(
        sys.executable,
        ["-m", "IPython", "--no-banner", "--no-confirm-exit"],
        env={
            **os.environ,
            "IPYTHONDIR": str(tmp_path / "ipython"),
            "TERM": "xterm",
            "PROMPT_TOOLKIT_NO_CPR": "1",
        },
        cwd=tmp_path,
        encoding="utf-8",
        timeout=60,
    )
    try:
        for line in LOADING.text.splitlines():
            terminal.expect("In ")
            terminal.send(line)
            time.sleep(0.3)  # the terminal takes input in one piece as pasted text
            terminal.send("\r")
        terminal.expect("Right accepts it, F3 requests a suggestion")
    finally:
        end_terminal(terminal)


def test_cell_magic_completes_into_the_next_cell(
    shell: conftest.Shell, says: Callable[..., ScriptedEngine]
) -> None:
    says("\n    return n % 2 == 0")
    test_magics.run(shell, CELL.text)
    assert shell.next_input == ("def is_even(n):\n    return n % 2 == 0", False)


def test_stub_becomes_the_documented_functions(
    shell: conftest.Shell, says: Callable[..., ScriptedEngine]
) -> None:
    shown = WRITTEN.text.rstrip("\n")
    helper = re.search(r"def is_prime\(prime\):\n {4}(.+?)\n\n\n", shown, re.DOTALL)
    assert helper
    last = shown.rpartition("\n    ")[2]
    says("").answer = lambda prompt: helper[1] if "def is_prime(prime):\n    <" in prompt else last
    out = test_magics.run(shell, STUB.text)
    assert shell.next_input == (shown, False)
    (tree,) = (block for block in blocks() if block.page == STUB.page and block.language == "text")
    assert [line for line in tree.text.splitlines() if line not in out.stderr] == []


def test_documented_functions_pass_their_examples() -> None:
    made: dict[str, Any] = {}
    exec(compile(WRITTEN.text, WRITTEN.place, "exec"), made)  # noqa: S102 - the documents' own
    (tests,) = doctest.DocTestFinder().find(made["sum_of_primes"], globs=made)
    assert doctest.DocTestRunner().run(tests) == doctest.TestResults(0, 1)


def test_tutorial_cells_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (table,) = (block for block in blocks() if block.page == TUTORIAL[0].page and block.language == "text")
    (tmp_path / "orders.csv").write_text(table.text, "utf-8")
    monkeypatch.chdir(tmp_path)
    mpl.use("agg")
    made: dict[str, Any] = {}
    for cell in TUTORIAL:
        exec(compile(cell.text, cell.place, "exec"), made)  # noqa: S102 - the documents' own
    assert round(made["orders"]["discounted"].sum(), 2) == 725.67
    assert len(made["revenue_by_month"]) == 4


def test_demo_folder_has_the_files_of_the_tutorial() -> None:
    (table,) = (block for block in blocks() if block.page == TUTORIAL[0].page and block.language == "text")
    assert (ROOT / "binder" / "orders.csv").read_text("utf-8") == table.text
    for year in (2024, 2025):
        report = json.loads((ROOT / "binder" / f"report-{year}.ipynb").read_text("utf-8"))
        assert the("revenue_by_month.plot").text.rstrip("\n") in [
            "".join(cell["source"]) for cell in report["cells"]
        ]


def test_service_worker_caches_files_at_startup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Build a minimal JupyterLite site; `make test-ui` builds a real one."""
    monkeypatch.chdir(tmp_path)
    worker = tmp_path / "site" / "service-worker.js"
    worker.parent.mkdir()
    worker.write_text('(()=>{"use strict";let enableCache=!1;let other=!1})()')
    exec(compile(WORKER.text, WORKER.place, "exec"), {})  # noqa: S102 - the documents' own
    start = 'let enableCache=new URL(location.href).searchParams.get("enableCache")==="true"'
    assert worker.read_text() == f'(()=>{{"use strict";{start};let other=!1}})()'


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[Server]:
    started = Server(tiny_model)
    yield started
    started.stop()


@pytest.mark.parametrize("program", [OPENAI, HUGGING_FACE], ids=lambda block: block.place)
def test_program_prints_the_servers_completion(
    program: Block, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert HERE in program.text
    assert KEY in program.text
    own = program.text.replace(HERE, server.url).replace(KEY, server.key)
    exec(compile(own, program.place, "exec"), {})  # noqa: S102 - the documents' own
    assert capsys.readouterr().out.strip("\n")


def test_recipe_declares_a_route() -> None:
    struct = {name: msgspec.defstruct(name, []) for name in ("ColorsRequest", "Colors")}
    made = {"Route": base.Route, "Endpoint": endpoint.Endpoint, **struct}
    exec(compile(ROUTE.text, ROUTE.place, "exec"), made)  # noqa: S102 - the documents' own
    assert made["ColorsRoute"].post.endpoint.gives is struct["Colors"]
