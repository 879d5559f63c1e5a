"""The scripts behind `make lab` and `make test`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.request import urlopen

import engine
import pytest
from msgspec import structs
from page_model import PageModel

from jupyter_turbopilot.request import Cell, Completion

from .twins import missing

ROOT = Path(__file__).parent.parent
RECTANGLES = ROOT / "labextension" / "ui-tests" / "model" / "rectangles.gguf"
BEGUN = "def area(width, height):\n    ret"  # the model of the browser tests knows the rest


def test_all_that_is_missing_is_named_at_once_with_the_command_that_installs_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "preflight.py"), "--browser"],
        cwd=tmp_path,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    for what in ("C++ compiler", "cmake", "Node.js", "Chromium"):
        assert what in done.stderr


@pytest.mark.parametrize("machine", ["x86_64", "AMD64", "arm64", "aarch64"])
def test_a_portable_engine_uses_no_instruction_for_being_on_this_machine(machine: str) -> None:
    assert "-DGGML_NATIVE=ON" in engine.flags_for(machine, portable=False)
    portable = engine.flags_for(machine, portable=True)
    assert "-DGGML_NATIVE=OFF" in portable
    assert ("-DGGML_AVX2=ON" in portable) is (machine in {"x86_64", "AMD64"})


def test_no_lock_file_holds_a_download_address() -> None:
    for name in ("requirements.lock", "labextension/package-lock.json"):
        text = (ROOT / name).read_text()
        for trace in ('"resolved"', ".tgz", ".whl", "://registry", "://pypi", "--index-url", " @ "):
            assert trace not in text


def test_every_make_target_that_the_documents_name_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/**/*.md")]
    code = "\n".join(
        piece
        for document in documents
        for piece in re.findall(r"`[^`\n]+`|^ {4}[^\n]*$|^```[^`]*```", document.read_text(), re.MULTILINE)
    )
    named = set(re.findall(r"(?<![\w.-])make ([a-z][a-z-]*)", code))
    assert {"lab", "test", "check", "docs", "test-ui"} <= named
    assert named <= targets
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_a_model_for_the_browser_answers_as_in_a_page() -> None:
    model = PageModel(RECTANGLES, "characters", "always")
    with closing(model):
        request = Completion(
            cells=[Cell(source=BEGUN)], offset=len(BEGUN), path="a.ipynb", trigger="automatic"
        )
        answer = model.last(request)
        assert answer.items[0].text == "urn width * height"
        assert [text for text, _ in answer.tokens][:3] == ["u", "r", "n"]
        assert answer.timings.total_ms > 0
        assert model.last(structs.replace(request, eagerness="quiet")).text in {"", answer.text}


def test_a_site_is_served_with_what_browsers_want(tmp_path: Path) -> None:
    (tmp_path / "engine.wasm").write_bytes(b"code")
    command = [sys.executable, ROOT / "scripts" / "serve_site.py", tmp_path]
    with subprocess.Popen(
        [*command, "--port", "0", "--headers"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout
        try:
            address = re.search(r"http://127.0.0.1:(\d+)/", server.stdout.readline())
            assert address
            headers = urlopen(f"{address[0]}engine.wasm", timeout=30).headers
            assert headers["Content-Type"] == "application/wasm"
            assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
            taken = subprocess.run([*command, "--port", address[1]], capture_output=True, text=True)
            assert "Choose another one with --port" in taken.stderr
        finally:
            server.terminate()
    nowhere = subprocess.run([*command[:2], tmp_path / "site"], capture_output=True, text=True)
    assert "build the site first" in nowhere.stderr
