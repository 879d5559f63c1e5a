import sys
from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_turbopilot.terminal import magics
from jupyter_turbopilot.terminal.magics import TurbopilotMagics
from jupyter_turbopilot.terminal.plugin import TerminalPlugin
from jupyter_turbopilot.util import registry
from jupyter_turbopilot.util.registry import Entry

from .conftest import Shell
from .test_magics import run


class Shout(TerminalPlugin):
    switches = (("--shout", "write 100 % in capitals"),)

    def complete(self, magics: TurbopilotMagics, options: Any, code: str) -> bool:
        if options.shout:
            magics.shell.set_next_input(code.upper())
        return bool(options.shout)

    def status(self, health: dict[str, Any]) -> str:
        return f"Shouts at {health['model']}."


class Failing(TerminalPlugin):
    def complete(self, magics: TurbopilotMagics, options: Any, code: str) -> bool:
        sys.exit()

    def status(self, health: dict[str, Any]) -> str:
        raise LookupError("no status")


class Refill(TerminalPlugin):
    switches = (("--fill", "has the name of our own option"),)


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a distribution with plugins, and forget them after the test."""
    names = {"odd": "__name__", "failing": "FAILING", "refill": "REFILL", "shout": "SHOUT"}
    entries = [Entry(name, f"{__name__}:{value}") for name, value in names.items()]
    monkeypatch.setattr(registry, "failures", {})
    monkeypatch.setattr(registry, "registered", lambda: {"magics": entries})
    parser = TurbopilotMagics.complete.parser
    actions, names = [*parser._actions], dict(parser._option_string_actions)
    magics._plugins.cache_clear()
    yield
    parser._actions[:] = actions
    parser._option_string_actions.clear()
    parser._option_string_actions.update(names)
    magics._plugins.cache_clear()


SHOUT, REFILL, FAILING = Shout(), Refill(), Failing()


@pytest.mark.usefixtures("_installed")
def test_plugin_adds_an_option_and_a_line_of_the_status(shell: Shell) -> None:
    assert "conflicting option string: --fill" in run(shell, "%complete --shout x = 1").stderr
    assert shell.next_input == ("X = 1", False)
    assert "write 100 % in capitals" in run(shell, "%complete --help").stdout
    assert "Shouts at " in run(shell, "%turbopilot").stdout


@pytest.mark.usefixtures("_installed")
def test_plugin_that_fails_does_not_affect_others(shell: Shell) -> None:
    assert f"{__name__} failed: SystemExit" in run(shell, "%complete --shout x = 1").stderr
    assert shell.next_input == ("X = 1", False)
    status = run(shell, "%turbopilot")
    assert "Shouts at " in status.stdout
    assert f"{__name__} failed: LookupError: no status" in status.stderr
    assert [*registry.failures] == [f"{__name__}:__name__"]
