"""The scripts behind `make lab` and `make test`."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from argparse import Namespace
from contextlib import closing
from pathlib import Path
from urllib.request import urlopen

import engine
import fit_gate
import preflight
import pytest
import tables
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


def test_a_machine_with_everything_passes() -> None:
    assert preflight.missing(with_browser=True) == []


def test_too_little_room_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10**9})())
    assert any("room on the disk" in line for line in preflight.missing(with_browser=False))


def test_an_old_node_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "node_version", lambda: (18, 19))
    (line,) = (line for line in preflight.missing(with_browser=False) if "Node.js" in line)
    assert "Node.js 20.19" in line
    assert "this is 18.19" in line


def test_the_node_that_a_distribution_has_is_not_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.platform, "system", lambda: "Linux")
    monkeypatch.setattr(preflight, "node_version", lambda: None)
    (line,) = (line for line in preflight.missing(with_browser=False) if "Node.js" in line)
    assert "nvm" in line
    assert "NodeSource" in line
    assert "apt-get" not in line


def test_an_engine_is_reused_only_for_the_same_version_flags_and_processor() -> None:
    folders = {
        engine.cache_folder("0.3.36", ("-DA=ON",), "avx2"),
        engine.cache_folder("0.3.36", ("-DA=ON",), "avx2 avx512f"),
        engine.cache_folder("0.3.36", ("-DA=OFF",), "avx2"),
        engine.cache_folder("0.3.37", ("-DA=ON",), "avx2"),
    }
    assert len(folders) == 4
    assert engine.cache_folder("0.3.36", ("-DA=ON",), "avx2") in folders


@pytest.mark.parametrize(
    ("version", "suits"),
    [
        (None, False), ((18, 20), False), ((20, 18), False), ((20, 19), True), ((21, 7), False),
        ((22, 11), False), ((22, 12), True), ((23, 0), True), ((24, 1), True),
    ],
)  # fmt: skip
def test_nodes_versions_are_those_that_the_front_ends_packages_take(
    version: tuple[int, int] | None, suits: bool
) -> None:
    assert preflight.node_suits(version) is suits
    lock = json.loads((ROOT / "labextension" / "package-lock.json").read_text("utf-8"))
    assert lock["packages"]["node_modules/vite"]["engines"]["node"] == "^20.19.0 || >=22.12.0"


@pytest.mark.parametrize("machine", ["x86_64", "AMD64", "arm64", "aarch64"])
def test_a_portable_engine_uses_no_instruction_for_being_on_this_machine(machine: str) -> None:
    assert "-DGGML_NATIVE=ON" in engine.flags_for(machine, portable=False)
    portable = engine.flags_for(machine, portable=True)
    assert "-DGGML_NATIVE=OFF" in portable
    assert ("-DGGML_AVX2=ON" in portable) is (machine in {"x86_64", "AMD64"})


def test_the_engine_is_the_one_the_lock_file_names() -> None:
    lock = (ROOT / "requirements.lock").read_text().splitlines()
    assert f"llama-cpp-python=={engine.wanted_version()}" in lock
    assert importlib.metadata.version("llama-cpp-python") == engine.wanted_version()


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


def test_the_reference_of_the_command_line_names_every_subcommand_and_what_its_options_do() -> None:
    text = tables.command_line()
    assert text.count("## `jupyter turbopilot ") == 28
    assert "| `-m MODEL`, `--model MODEL` | the model to tune; default: the configured one |" in text
    assert "| `PATH ...` | folders, notebooks, code, or a prepared .jsonl |" in text
    assert "A small model of characters, from nothing:" in text
    assert "%(" not in text


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


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_the_gate_is_fitted_to_answers_of_a_page_that_are_as_long_as_was_asked() -> None:
    written = {}
    for tokens in (1, 2):
        with closing(fit_gate.Page(Namespace(model=RECTANGLES, tokens=tokens))) as page:
            request = Completion(cells=[Cell(source=BEGUN)], offset=len(BEGUN), path="a.ipynb")
            written[tokens], ended = page.write(request)
            assert not ended
    assert len(written[2]) == 2 * len(written[1])


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_what_node_says_is_said_where_a_model_for_the_browser_cannot_be_run(tmp_path: Path) -> None:
    (tmp_path / "damaged.gguf").write_bytes(b"nothing")
    with pytest.raises(RuntimeError, match=r"Node\.js has ended:(?s:.*)ModelError: This is not a model file"):
        PageModel(tmp_path / "damaged.gguf", "characters")


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


def test_what_a_page_answers_is_collected_for_a_model_that_is_named() -> None:
    command = [sys.executable, "scripts/fit_gate.py", "collect", "--set", "x", "--out", "y", "--page"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "--page needs -m" in done.stderr
