import _thread
import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from IPython.utils.capture import RichOutput, capture_output

from jupyter_turbopilot.jupyter import runtime
from jupyter_turbopilot.protocol.errors import NotReadyError, TurbopilotError
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.terminal import magics

from ..scripted_engine import ScriptedEngine, pilot_with
from .conftest import Shell


@pytest.fixture
def says(shell: Shell, tiny_model: Path) -> Callable[..., ScriptedEngine]:
    """Give the shell a model with scripted answers."""
    from jupyter_turbopilot.terminal.in_process import InProcess

    def make(answer: str, **more: Any) -> ScriptedEngine:
        engine = ScriptedEngine(answer, **more)
        local = InProcess(Turbopilot(model=str(tiny_model)))
        local.pilot = pilot_with(local.pilot.settings, lambda *_: engine)
        loaded(shell).local = local
        return engine

    return make


def loaded(shell: Shell) -> magics.TurbopilotMagics:
    found: magics.TurbopilotMagics = shell._turbopilot_magics  # type: ignore[attr-defined]
    return found


def run(shell: Shell, code: str) -> Any:
    with capture_output() as captured:
        shell.run_cell(code, store_history=True)
    return captured


def test_complete_puts_a_cell_into_the_next_input(shell: Shell, says: Callable[..., ScriptedEngine]) -> None:
    says("return n % 2 == 0")
    out = run(shell, "%%complete\ndef is_even(n):\n    ")
    assert shell.next_input == ("def is_even(n):\n    return n % 2 == 0", False)
    assert "is_even" in out.stdout
    assert "is_even" not in shell.user_ns


def test_complete_uses_a_line_as_typed(shell: Shell, says: Callable[..., ScriptedEngine]) -> None:
    engine = says("'b']")
    run(shell, "%complete x = ['a',  ")
    assert shell.next_input is not None
    assert shell.next_input[0].endswith("'b']")
    assert "x = ['a'," in engine.prompts[0]


def test_complete_fills_at_the_marker(shell: Shell, says: Callable[..., ScriptedEngine]) -> None:
    engine = says("1, 2")
    run(shell, "%%complete --fill\nx = [<|>]\nprint(x)\n")
    assert shell.next_input == ("x = [1, 2]\nprint(x)\n", False)
    assert "<|>" not in engine.prompts[0]


def test_complete_passes_options_to_the_model(shell: Shell, says: Callable[..., ScriptedEngine]) -> None:
    engine = says("a b c d")
    run(shell, "%%complete --length 2 --temperature 0.5\nx = ")
    assert (engine.samplings[0].max_tokens, engine.samplings[0].temperature) == (2, 0.5)


def test_complete_lists_alternatives_and_inserts_the_first(
    shell: Shell, says: Callable[..., ScriptedEngine]
) -> None:
    answers = iter(["one + a", "two", " - b"])
    engine = says("")
    engine.probability = 0.5
    engine.answer = lambda _: next(answers)
    out = run(shell, "%%complete --alternatives 3\nx = ")
    assert [f"{n}:" in out.stdout for n in (1, 2, 3)] == [True] * 3
    assert shell.next_input is not None
    first = out.stdout.partition("1:")[2].partition("2:")[0].strip()
    assert first
    assert shell.next_input[0].endswith(first)
    assert "%complete --use NUMBER" in out.stderr
    for number in (2, 3):
        chosen = out.stdout.partition(f"{number}:")[2].partition(f"{number + 1}:")[0].strip()
        run(shell, f"%complete --use {number} --replace")
        assert shell.next_input == (chosen, True)
        assert shell.next_input[0] != first
    shell.next_input = None
    out = run(shell, "%complete --use 4")
    assert "--use must be a whole number from 1 to 3" in out.stdout + out.stderr
    assert shell.next_input is None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("%complete --use 1", "Run %%complete --alternatives 3"),
        ("%complete --use 9", "from 1 to 8"),
        ("%complete --use 1 x = ", "takes no code"),
        ("%%complete --use 1\nx = ", "takes no code"),
        ("%complete --use 1 --length 3", "no other option than --replace"),
    ],
)
def test_use_requires_alternatives_and_no_code(
    shell: Shell, says: Callable[..., ScriptedEngine], code: str, reason: str
) -> None:
    engine = says("1")
    out = run(shell, code)
    assert reason in out.stdout + out.stderr
    assert engine.prompts == []
    assert shell.next_input is None


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--temperature 99", "-t/--temperature: must be a number from 0 to 2, not '99'"),
        ("--temperature nan", "from 0 to 2"),
        ("--length -3", "-n/--length: must be a whole number from 1 to"),
        ("--length 2049", "--length must be a whole number from 1 to 2048"),
        ("--helpers --length 16385", "from 1 to 16384"),
        ("-a 99", "-a/--alternatives: must be a whole number from 1 to 8, not '99'"),
        ("-a 0", "from 1 to 8"),
    ],
)
def test_complete_rejects_options_out_of_range(
    shell: Shell, says: Callable[..., ScriptedEngine], options: str, reason: str
) -> None:
    engine = says("1")
    for code in (f"%%complete {options}\nx = ", f"%complete {options} x = "):
        out = run(shell, code)
        assert reason in out.stdout + out.stderr
    assert engine.prompts == []
    assert shell.next_input is None


def test_complete_separates_a_short_option_from_the_code(
    shell: Shell, says: Callable[..., ScriptedEngine]
) -> None:
    engine = says("b c")
    run(shell, "%complete -n2 a = ")
    assert engine.samplings[0].max_tokens == 2
    assert "a =" in engine.prompts[0]
    assert "put the options first" in run(shell, "%complete --len 5 --rep x = ").stderr


def test_complete_uses_the_session_without_secrets(shell: Shell, says: Callable[..., ScriptedEngine]) -> None:
    engine = says("1")
    run(shell, "first = 1\napi_key = 'abcdef123'")
    run(shell, "%%complete\nsecond = ")
    assert "first = 1" in engine.prompts[0]
    assert "abcdef123" not in engine.prompts[0]
    assert "%%complete" not in engine.prompts[0]


def test_complete_escapes_control_characters(shell: Shell, says: Callable[..., ScriptedEngine]) -> None:
    says("'\x1b]0;owned\x07'")
    out = run(shell, "%%complete\nx = ")
    assert "\x1b]0" not in out.stdout
    assert "\x07" not in out.stdout


def test_complete_reports_an_empty_answer(shell: Shell, says: Callable[..., ScriptedEngine]) -> None:
    says("")
    assert "nothing to suggest" in run(shell, "%%complete\nx = ").stderr
    assert shell.next_input is None


def test_complete_notifies_of_loading_once(shell: Shell, tiny_model: Path) -> None:
    loaded(shell).settings.model = str(tiny_model)
    assert f"Loading {tiny_model.name}…" in run(shell, "%complete -n 2 x = ").stderr
    assert "Loading" not in run(shell, "%complete -n 2 x = ").stderr


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("%complete", "Nothing to complete"),
        ("%complete --fill", "Nothing to complete"),
        ("%%complete --fill\nx = 1", "<|>"),
        ("%%complete oops\nx", "put the code on the lines below"),
        ("%%complete --helpers --fill\nx", "takes no --fill"),
        ("%%complete --helpers -a 2\nx", "takes no --fill"),
        ("%%complete --helpers --lines multi\nx", "takes no --fill"),
    ],
)
def test_complete_explains_its_usage_after_an_error(
    shell: Shell, says: Callable[..., ScriptedEngine], line: str, reason: str
) -> None:
    engine = says("1")
    out = run(shell, line)
    assert "UsageError" in out.stdout + out.stderr
    assert reason in out.stdout + out.stderr
    assert engine.prompts == []
    assert shell.next_input is None


def test_complete_recovers_after_a_model_that_cannot_be_loaded(
    shell: Shell, says: Callable[..., ScriptedEngine], tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF")
    says("1 + 1")
    for name in ("nosuch", str(damaged), "smollm2-135m"):
        assert "Turbopilot:" in run(shell, f"%complete --model {name} x = ").stderr
        shell.next_input = None
        run(shell, "%complete x = ")
        assert shell.next_input is not None
        assert shell.next_input[0].endswith("1 + 1")


def test_turbopilot_on_requires_a_prompt(shell: Shell) -> None:
    out = run(shell, "%turbopilot on")
    assert "full prompt" in out.stdout + out.stderr
    assert "everywhere" not in out.stdout + out.stderr


@pytest.fixture
def prompt(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the shell an unconnected prompt."""
    monkeypatch.setattr(shell, "pt_app", (), raising=False)
    monkeypatch.setattr(shell, "auto_suggest", None, raising=False)
    monkeypatch.setattr(shell, "_set_autosuggestions", lambda: None, raising=False)


@pytest.mark.usefixtures("prompt")
def test_turbopilot_on_requires_a_model(shell: Shell) -> None:
    for model, reason in (("nope", "no model called"), ("smollm2-135m", "models pull")):
        loaded(shell).settings.model = model
        out = run(shell, "%turbopilot on")
        assert out.stdout == ""
        assert reason in out.stderr
        assert "Ghost text was not turned on" in out.stderr
        loaded(shell).local = None
    assert "Ghost text: off" in run(shell, "%turbopilot").stdout


def test_load_reports_an_invalid_setting_on_one_line(shell: Shell) -> None:
    magics.unload(shell)
    shell.config.Turbopilot.threads = "many"
    with capture_output() as out:
        magics.load(shell)
    shown = [out.stderr, run(shell, "%complete x = ").stderr, run(shell, "%turbopilot").stdout]
    for text in shown:
        assert text.startswith("Turbopilot: IPython's configuration has to be corrected. TraitError: ")
        assert "'threads'" in text
        assert text.count("\n") == 1
    shell.config.Turbopilot.threads = 1
    assert "qwen2.5-coder-0.5b" in run(shell, "%turbopilot").stdout


@pytest.mark.usefixtures("prompt")
def test_turbopilot_on_reports_the_index(
    shell: Shell, says: Callable[..., ScriptedEngine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says("1")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert "Index of your code" not in run(shell, "%turbopilot").stdout
    out = run(shell, "%turbopilot on").stdout
    local = loaded(shell).local
    assert local
    assert local.pilot.notebook_index
    assert f"the code in {tmp_path / 'work'}; the index is {local.pilot.notebook_index.builder.path}" in out
    assert "c.Turbopilot.notebook_index = False" in out
    assert f"Index of your code: 0 of 0 files in {tmp_path / 'work'}" in run(shell, "%turbopilot").stdout
    local.pilot.stop()


def test_unload_removes_the_magics(shell: Shell, says: Callable[..., ScriptedEngine]) -> None:
    engine = says("1")
    run(shell, "%%complete\nx = ")
    shell.run_line_magic("unload_ext", "jupyter_turbopilot")
    assert "not found" in run(shell, "%turbopilot").stderr
    assert engine.closed


# Multi-function generation -------------------------------------------------------------------------


def test_helpers_puts_functions_into_the_next_input(
    shell: Shell, says: Callable[..., ScriptedEngine]
) -> None:
    engine = says("")
    engine.answer = lambda prompt: "return helper(x)" if "def f(x):\n    <" in prompt else "return 1"
    run(shell, "known = 1")
    out = run(shell, "%%complete --helpers\ndef f(x):\n")
    assert shell.next_input == (
        "# Called as helper(x)\ndef helper(x):\n    return 1\n\n\ndef f(x):\n    return helper(x)",
        False,
    )
    assert "● helper(x)" in out.stderr
    assert "f" not in shell.user_ns
    assert "known = 1" in engine.prompts[0]


def test_helpers_accepts_an_instruction_in_a_line(shell: Shell, says: Callable[..., ScriptedEngine]) -> None:
    engine = says("")
    engine.answer = lambda prompt: "return n + n" if "double(n)" in prompt else " double(n):"
    run(shell, "%complete --helpers --replace Double a number")
    assert shell.next_input == ("# Double a number\ndef double(n):\n    return n + n", True)


def test_helpers_uses_the_session_and_lists_missing_names(
    shell: Shell, says: Callable[..., ScriptedEngine]
) -> None:
    says("return helper(x) + nowhere")
    run(shell, "def helper(x): return x")
    run(shell, "%%complete --helpers\ndef f(x):\n")
    assert shell.next_input is not None
    assert shell.next_input[0].startswith("# Not defined here: nowhere.")
    assert "def helper" not in shell.next_input[0]


@pytest.mark.parametrize("source", ["def f(", "x" * 100_000, "def class(x):"])
def test_helpers_reports_errors(shell: Shell, says: Callable[..., ScriptedEngine], source: str) -> None:
    says("1")
    assert "Turbopilot:" in run(shell, f"%%complete --helpers\n{source}").stderr
    assert shell.next_input is None


def test_helpers_keeps_finished_functions_after_ctrl_c(
    shell: Shell, says: Callable[..., ScriptedEngine]
) -> None:
    def answer(prompt: str) -> str:
        if "def helper(" not in prompt:
            return "return helper(x)"
        _thread.interrupt_main()  # as Ctrl C does
        return "return 1\n    " * 100

    says("", pause=0.01).answer = answer
    out = run(shell, "%%complete --helpers\ndef f(x):\n")
    assert "Stopped." in out.stderr
    assert shell.next_input == ("# Not defined here: helper.\n\n\ndef f(x):\n    return helper(x)", False)


# In a kernel, with a server --------------------------------------------------------------------------


class FakeServer:
    """The two routes of a server that a kernel uses."""

    def __init__(self, secret: str) -> None:
        outer = self
        self.bodies: list[Any] = []
        self.answer: list[dict[str, Any]] = [
            {"id": "1", "text": "n % 2"},
            {"id": "1", "text": "n % 2 == 0", "done": True},
        ]
        self.items = [{"text": "one"}, {"text": "two"}]
        self.status = 200

        def line(frame: Any) -> bytes:
            return json.dumps(frame).encode() + b"\n"

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None: ...

            def do_GET(self) -> None:
                self.reply({"ready": True, "model": "the-model", "reason": None, "last_ms": 12.0})

            def do_POST(self) -> None:
                outer.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                if self.headers.get("X-Turbopilot-Secret") != secret:
                    self.reply(TurbopilotError("No.").body(), 403)
                elif outer.status != 200:
                    self.reply(NotReadyError("It loads.", after=1).body(), outer.status)
                elif outer.bodies[-1].get("stream", True):
                    self.reply(b"".join(line(frame) for frame in outer.answer))
                else:
                    self.reply({"items": outer.items})

            def reply(self, body: Any, status: int = 200) -> None:
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/a%40b/"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    server = FakeServer("s3")
    shell.kernel = object()  # type: ignore[attr-defined] - distinguishes a kernel's shell from a terminal's
    monkeypatch.setattr(runtime, "find", lambda: runtime.Runtime(server.url, "s3", 1))
    yield server
    server.stop()


def test_complete_in_a_kernel_uses_the_server_and_one_display(shell: Shell, server: FakeServer) -> None:
    out = run(shell, "%%complete\ndef is_even(n):\n    return ")
    assert shell.next_input == ("def is_even(n):\n    return n % 2 == 0", False)
    assert server.bodies[0]["trigger"] == "invoke"
    assert all(isinstance(output, RichOutput) for output in out.outputs)
    assert out.outputs[0].data["text/plain"].endswith("n % 2")
    assert "text/html" in out.outputs[0].data
    assert "llama_cpp" not in sys.modules or loaded(shell).local is None


def test_helpers_in_a_kernel_uses_the_server_and_one_display(shell: Shell, server: FakeServer) -> None:
    server.answer = [
        {"event": "found", "name": "f", "source": "f(x)"},
        {"event": "finished", "name": "f", "source": "def f(x):\n    return 1"},
        {"event": "done", "name": "f", "source": "def f(x):\n    return 1\n", "tokens": 3},
    ]
    run(shell, "y = 1")
    out = run(shell, "%%complete --helpers\ndef f(x):\n")
    assert shell.next_input == ("def f(x):\n    return 1", False)
    assert [shown.data["text/plain"] for shown in out.outputs] == ["○ f(x)", "● f(x)  2 lines"]
    assert "y" in server.bodies[0]["names"]
    assert server.bodies[0]["cells"][-1]["source"] == "y = 1"


def test_complete_shows_the_servers_reason(shell: Shell, server: FakeServer) -> None:
    server.status = 503
    assert "It loads." in run(shell, "%%complete\nx = ").stderr


def test_complete_reports_an_unreachable_server(shell: Shell, server: FakeServer) -> None:
    server.stop()
    assert "does not respond" in run(shell, "%%complete\nx = ").stderr
    assert "does not respond" in run(shell, "%turbopilot").stdout


def test_complete_without_a_server_suggests_local(
    shell: Shell, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "find", lambda: None)
    assert "--local" in run(shell, "%%complete\nx = ").stderr
    assert loaded(shell).local is None


def test_complete_in_a_kernel_loads_a_model_only_with_local(
    shell: Shell, server: FakeServer, says: Callable[..., ScriptedEngine]
) -> None:
    says("local text")
    run(shell, "%%complete --local\nx = ")
    assert server.bodies == []
    assert shell.next_input is not None
    assert shell.next_input[0].endswith("local text")


def test_complete_in_a_kernel_uses_a_loaded_model_without_a_server(
    shell: Shell, server: FakeServer, says: Callable[..., ScriptedEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    says("local text")
    run(shell, "%%complete\nx = ")
    assert len(server.bodies) == 1
    monkeypatch.setattr(runtime, "find", lambda: None)
    run(shell, "%%complete\nx = ")
    assert shell.next_input == ("x = local text", False)
    assert len(server.bodies) == 1


def test_off_in_a_kernel_names_the_menu_of_jupyterlab(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Ghost text is off." in run(shell, "%turbopilot off").stdout
    monkeypatch.setattr(magics.TurbopilotMagics, "in_terminal", False)
    out = run(shell, "%turbopilot off").stdout
    assert "Turn Off" in out
    assert "is off" not in out
