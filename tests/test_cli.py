import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_turbopilot import __version__, cli
from jupyter_turbopilot.plugins.remote.settings import TurbopilotRemote
from jupyter_turbopilot.terminal.commands import removing
from jupyter_turbopilot.terminal.commands.command import Parser
from jupyter_turbopilot.util import registry
from jupyter_turbopilot.util.registry import Entry

from .terminal.commands.running import run


def test_cli_is_a_jupyter_subcommand() -> None:
    message = subprocess.run(
        [str(Path(sys.executable).parent / "jupyter"), "turbopilot", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "doctor" in message.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("complete", "missing.py"), "cannot be read"),
        (("complete", "FILE", "--line", "9"), "--line must be from 1 to 2, not 9"),
        (("complete", "FILE", "--line", "1", "--col", "99"), "from 1 to 6 in line 1"),
        (("models", "pull", "nonsense"), "no model called"),
        (("complete", "FILE"), "models pull"),
    ],
)
def test_cli_prints_an_error_in_one_line_with_advice(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    code = tmp_path / "a.py"
    code.write_text("x = 1\ny")
    status, _, err = run(capsys, *(str(code) if a == "FILE" else a for a in arguments))
    assert status == (1 if words == "models pull" else 2)  # 2: invalid request
    assert words in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("command", ["eval", "train", "usage-log"])
def test_cli_says_how_to_install_research(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(registry, "registered", dict)
    status, out, err = run(capsys, command, "report", "a")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert 'pip install "turbopilot-research' in err
    assert f"=={__version__}" in err


def test_cli_rejects_an_option_of_serve_as_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "--hub")
    assert (status, out) == (2, "")
    assert "needs another package" not in err


def test_cli_uses_utf_8_for_pipes() -> None:
    code = (
        "import sys\n"
        "from jupyter_turbopilot import cli\n"
        "from jupyter_turbopilot.protocol.reply import Item, Reply\n"
        "from jupyter_turbopilot.terminal.in_process import InProcess\n"
        "def replies(_, request):\n"
        "    if request.cells[0].source != 'na\\xefve = \\u65e5': sys.exit(3)\n"
        "    yield Reply('1', items=(Item('\\xe9\\u65e5', 1.0, 'stop'),), done=True)\n"
        "InProcess.replies = replies\n"
        "cli.main(['complete', '-'])\n"
    )
    # As on Windows, the system's encoding is not UTF-8.
    other = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONIOENCODING"} | other
    message = subprocess.run(
        [sys.executable, "-c", code], input="na\xefve = \u65e5".encode(), capture_output=True, env=environment
    )
    assert (message.returncode, message.stderr) == (0, b"")
    assert message.stdout.decode() == "\xe9\u65e5\n"


def test_command_line_overrides_configuration_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    (tmp_path / "jupyter_server_config.py").write_text("c.Turbopilot.model = 'a.gguf'\n")
    assert cli.read_settings().model == "a.gguf"
    settings = cli.read_settings("b.gguf", mirrors=True)
    assert (settings.model, settings.mirrors) == ("b.gguf", True)


URL = "http://proxy/services/turbopilot"


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[object, ...]]:
    """Return the engine and its remote settings with a configuration, in a hub's environment if `is_in_hub`."""

    def read(config: str = "", *, is_in_hub: bool = True) -> tuple[object, ...]:
        monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
        (tmp_path / "jupyter_server_config.py").write_text(config)
        values = {"URL": URL, "AUTH": "jupyterhub", "ALLOW_HTTP": "1"} if is_in_hub else {}
        for name, value in values.items():
            monkeypatch.setenv(f"TURBOPILOT_ENGINE_{name}", value)
        settings = cli.read_settings()
        section = settings.section(TurbopilotRemote)
        return settings.engine, section.url, section.auth, section.allow_http

    return read


def test_environment_sets_the_remote_engine_unless_configured(
    remote: Callable[..., tuple[object, ...]],
) -> None:
    assert remote(is_in_hub=False) == ("llama", "", "", False)
    assert remote() == ("remote", URL, "jupyterhub", True)
    config = (
        "c.Turbopilot.engine = 'llama'\nc.TurbopilotRemote.auth = ''\nc.TurbopilotRemote.allow_http = False\n"
    )
    assert remote(config) == ("llama", URL, "", False)


def test_environment_key_applies_only_to_its_own_address(remote: Callable[..., tuple[object, ...]]) -> None:
    _, *fields = remote("c.TurbopilotRemote.url = 'http://far'\n")
    assert fields == ["http://far", "", False]


def test_environment_with_an_unknown_authentication_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURBOPILOT_ENGINE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("TURBOPILOT_ENGINE_AUTH", "kerberos")
    status, _, err = run(capsys, "doctor")
    assert (status, "'auth'" in err) == (2, True)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("jupyter_server_config.py", "c.Turbopilot.threads = (", "was never closed"),
        ("jupyter_server_config.py", "raise SystemError('mine')", "SystemError: mine"),
        ("jupyter_server_config.py", "raise ValueError('a\\nb')", "ValueError: a b"),
        ("jupyter_turbopilot_config.json", "{", "JSONDecodeError"),
        ("jupyter_turbopilot_config.json", '{"Turbopilot": 5}', "has to be corrected"),
        ("jupyter_turbopilot_config.py", "c.Turbopilot.threads = 'many'", "'threads'"),
    ],
)
def test_cli_reports_a_broken_configuration_file_in_one_line(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    content: str,
    words: str,
) -> None:
    (tmp_path / name).write_text(content)
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    status, out, err = run(capsys, "models", "list")
    assert (status, out) == (2, "")
    assert words in err
    assert err.startswith("turbopilot: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("end", "status", "words"), [(KeyboardInterrupt, 130, "turbopilot: stopped\n"), (BrokenPipeError, 0, "")]
)
def test_cli_interrupted_prints_one_line(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    end: type[BaseException],
    status: int,
    words: str,
) -> None:
    def ended(_: str) -> str:
        raise end

    monkeypatch.setattr(removing, "confirmed", ended)
    assert run(capsys, "purge") == (status, "", words)


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (("complete", "a.py", "--lnie", "3"), "complete"),
        (("models", "pull", "a", "b"), "models pull"),
        (("doctor", "--quick"), "doctor"),
    ],
)
def test_unknown_arguments_print_the_usage_of_the_subcommand(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], command: str
) -> None:
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert err.startswith(f"usage: jupyter turbopilot {command} ")
    assert f"jupyter turbopilot {command}: error: unrecognized arguments" in err


def every_parser(parser: Parser) -> Iterator[Parser]:
    parser.declare()
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from every_parser(inner)


def test_every_option_has_a_help_text() -> None:
    bare = [
        f"{parser.prog} {action.dest}"
        for parser in every_parser(cli.parser())
        for action in parser._actions
        if not action.help and not isinstance(action, argparse._SubParsersAction)
    ]
    assert not bare


def test_commands_of_other_distributions_are_found(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "others.py").write_text(
        "def declare(parser):\n"
        "    '''Greet 100 % of the users.'''\n"
        "    parser.add_argument('--name')\n"
        "    parser.set_defaults(execute=lambda options, settings: print(settings.engine, options.name))\n"
        "class Odd: __doc__ = 5\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    others = {
        "commands": [
            Entry("greet", "others:declare"),
            Entry("broken", "others:missing"),
            Entry("odd", "others:Odd"),
        ],
        "engines": [Entry("far", "others:missing")],
    }
    monkeypatch.setattr(registry, "registered", lambda: others)
    assert "greet 100 % of the users" in run(capsys, "--help")[1]
    assert run(capsys, "greet", "--name", "Ada") == (0, "llama Ada\n", "")
    status, _, err = run(capsys, "broken")
    assert (status, "invalid choice: 'broken'" in err) == (2, True)
    status, _, err = run(capsys, "models", "list", "--engine", "far")
    assert (status, "The engine far cannot be imported" in err) == (2, True)
