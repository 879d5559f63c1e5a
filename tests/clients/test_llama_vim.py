"""llama.vim itself, in Vim and Neovim if they are installed: TURBOPILOT_LLAMA_VIM names the plug-in's folder."""

import json
import os
import shutil
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from ..serving import Server

SCRIPT = Path(__file__).parent / "llama.vim"
PLUGIN = os.environ.get("TURBOPILOT_LLAMA_VIM", "")


def _drain(terminal: int) -> None:
    with suppress(OSError):  # the editor has ended
        while os.read(terminal, 65536):
            pass


@pytest.mark.skipif(
    not PLUGIN, reason="TURBOPILOT_LLAMA_VIM does not name a copy of github.com/ggml-org/llama.vim"
)
@pytest.mark.parametrize("editor", ["vim", "nvim"])
def test_llama_vim_shows_ghost_text_and_tab_accepts_it(server: Server, tmp_path: Path, editor: str) -> None:
    pty = pytest.importorskip("pty")
    if not (program := shutil.which(editor)):
        pytest.skip(f"{editor} is not installed")
    found = tmp_path / "found.json"
    file = tmp_path / "a.py"
    file.write_text("")
    ours, theirs = pty.openpty()
    threading.Thread(target=_drain, args=(ours,), daemon=True).start()
    variables = {"TEST_URL": server.url, "TEST_KEY": server.key, "TEST_FOUND": str(found), "TERM": "xterm"}
    subprocess.run(
        [program, "-u", str(SCRIPT), "-i", "NONE", str(file)],
        env=os.environ | variables,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        timeout=60,
        check=True,
    )
    os.close(theirs)
    reported = json.loads(found.read_text())
    if "old" in reported:
        pytest.skip(reported["old"])
    assert reported["shown"].strip(), reported
    taken = reported["after"].removeprefix(reported["before"])
    assert reported["after"] != taken != "", reported
    assert reported["shown"] == "?" or taken.startswith(reported["shown"].rstrip()), reported
