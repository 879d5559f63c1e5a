import atexit
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_turbopilot.terminal import magics


class Shell(InteractiveShell):
    """A real shell that records its next input."""

    next_input: tuple[str, bool] | None = None

    def set_next_input(self, text: str, replace: bool = False) -> None:
        self.next_input = (text, replace)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    Shell.clear_instance()
    shell = Shell.instance()
    shell.run_line_magic("load_ext", "jupyter_turbopilot")
    yield shell
    magics.unload(shell)
    Shell.clear_instance()
    atexit.unregister(shell.atexit_operations)
    shell.atexit_operations()  # at once: its folder may be deleted before this process exits
    shell.restore_sys_module_state()  # `__main__` too: new processes are started from it
