"""Run every documented command unchanged, unless its page gives a reason not to."""

import hashlib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import engine
import pytest

from jupyter_turbopilot.cli import parser
from jupyter_turbopilot.util.registry import OTHER_COMMANDS

from .pages import PAGES, ROOT, SHELL, blocks, inline

LANGUAGES = SHELL - {""} | {
    "python",
    "ipython",
    "json",
    "yaml",
    "vim",
    "elisp",
    "text",
    "toml",
    "javascript",
    "lua",
    "dockerfile",
}

# Commands to run: a part of their expected output.
EXECUTED = {
    "jupyter server extension list": "jupyter_turbopilot",
    "jupyter labextension list": "jupyter-turbopilot",
    "jupyter turbopilot models list": "qwen2.5-coder-0.5b",
    "jupyter turbopilot index info": "there is no index",
    "jupyter turbopilot forget": "There are no saved sequences",
    "jupyter turbopilot models info model.gguf": "llama",
}
WITH_THE_MODEL = {
    "jupyter turbopilot doctor": "speed",
    "jupyter turbopilot complete analysis.py --line 12 --col 9": "lengths",
    'jupyter turbopilot generate -p "def fibonacci(n):" -n 60': "tokens",  # the text is sampled
    "jupyter turbopilot models path": "qwen2.5-coder-0.5b",
}
# Commands in sentences to run: a part of their expected output.
SAID = {
    "jupyter --paths": "/home/.jupyter",
    "ipython profile create": "ipython_config.py",
    "python -c \"import hashlib, sys; d = open(sys.argv[1], 'rb').read(); "
    'print(hashlib.sha256(d).hexdigest(), len(d))" FILE': f"{hashlib.sha256(b'model').hexdigest()} 5",
    "openssl rand -hex 32": "\n",
}
MAY_FAIL = {"jupyter turbopilot doctor"}  # it reports slow or incomplete machines

ANALYSIS = '''"""Mean and median of some measured lengths."""

import statistics

lengths = [3.2, 4.1, 2.8, 5.0]


def mean(values):
    return sum(values) / len(values)


m = mean
'''


shell = pytest.mark.skipif(sys.platform == "win32", reason="the commands are written for a POSIX shell")


def shell_blocks():
    return [block for block in blocks() if block.language in SHELL]


def run(command: str, folder: Path, models: str) -> subprocess.CompletedProcess[str]:
    """Run a command with an empty home folder."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in {"LANG", "PYTHONPATH", "XDG_CACHE_HOME", "XDG_DATA_HOME"}
    }
    environment = {
        **kept,
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "TURBOPILOT_MODELS": models,
        "JUPYTER_CONFIG_DIR": str(home / ".jupyter"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
    }
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=290,
    )


def test_code_blocks_name_their_language() -> None:
    unnamed = [block.place for block in blocks() if block.language not in LANGUAGES]
    assert not unnamed, f"name the language, as in ```bash: {unnamed}"


def test_commands_in_blocks_are_run_or_have_a_reason() -> None:
    run_here = EXECUTED.keys() | WITH_THE_MODEL.keys()
    lost = [
        f"{block.place}: {command}"
        for block in shell_blocks()
        if not block.reason
        for command in block.commands
        if command not in run_here
    ]
    assert not lost, "run them here, or put <!-- not run: why --> above the block:\n" + "\n".join(lost)


def test_run_commands_exist_in_a_page() -> None:
    there = {command for block in shell_blocks() if not block.reason for command in block.commands}
    there.update(code for _, code in inline())
    assert not (EXECUTED.keys() | WITH_THE_MODEL.keys() | SAID.keys()) - there


@shell
@pytest.mark.parametrize("command", EXECUTED)
def test_commands_print_the_documented_output(command: str, tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(tiny_model.read_bytes())
    done = run(command, tmp_path, str(tmp_path / "models"))
    assert done.returncode == 0, done.stderr
    assert EXECUTED[command] in done.stdout + done.stderr


@shell
@pytest.mark.parametrize("command", SAID, ids=lambda command: command[:30])
def test_inline_commands_print_the_documented_output(command: str, tmp_path: Path) -> None:
    (tmp_path / "FILE").write_bytes(b"model")
    done = run(command, tmp_path, str(tmp_path / "models"))
    assert done.returncode == 0, done.stderr
    assert SAID[command] in done.stdout + done.stderr


@shell
@pytest.mark.model
@pytest.mark.parametrize("command", WITH_THE_MODEL)
def test_commands_that_use_the_model_print_the_documented_output(
    command: str, tmp_path: Path, default_model: Path
) -> None:
    (tmp_path / "analysis.py").write_text(ANALYSIS, "utf-8")
    done = run(command, tmp_path, str(default_model.parent))
    assert done.returncode in ({0, 1} if command in MAY_FAIL else {0}), done.stderr
    assert "Traceback" not in done.stderr
    assert WITH_THE_MODEL[command] in done.stdout + done.stderr


def ours() -> set[str]:
    """Return the `jupyter turbopilot` commands in blocks and sentences, except abbreviated ones."""
    written = {command for block in shell_blocks() for command in block.commands}
    written |= {code for _, code in inline() if re.match(r"jupyter turbopilot [a-z]", code)}
    found = set()
    for line in written:
        # The command ends at a pipe, a redirection, the next command or the end of a substitution.
        for part in re.findall(r"jupyter turbopilot ([a-z].*?)(?=\)\"| \| | && | > |$)", line):
            if not re.search(r"[…\[]|\w\|\w", part):
                found.add(part.strip())
    return found


def check_options(command: str) -> None:
    """Check that a command and its options exist."""
    words = shlex.split(command)
    top = parser()
    # A sentence may omit required arguments, but all its options must exist.
    actions = top
    for word in list(words):
        subparsers = [
            action for action in actions._actions if action.__class__.__name__ == "_SubParsersAction"
        ]
        if not subparsers or word.startswith("-"):
            break
        assert word in subparsers[0].choices, f"there is no command {command}"
        actions = subparsers[0].choices[word]
        actions.declare()
        words.pop(0)
    known = actions._option_string_actions
    for word in words:
        if word.startswith("-"):
            assert word.split("=")[0] in known, f"{command}: there is no option {word}"


@pytest.mark.parametrize(
    "command", sorted(command for command in ours() if command.split()[0] not in OTHER_COMMANDS)
)
def test_documented_options_exist(command: str) -> None:
    check_options(command)


@pytest.mark.parametrize("folder", ["", "research", "packages/service"])
def test_documented_extras_exist(folder: str) -> None:
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    texts = "\n".join(page.read_text("utf-8") for page in PAGES)
    named = {
        name for found in re.findall(rf"{project['name']}\[([\w,]+)\]", texts) for name in found.split(",")
    }
    assert named
    assert named <= extras.keys()


def test_documented_prebuilt_engine_is_an_accepted_version() -> None:
    """Otherwise pip would compile another version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (wanted,) = [one for one in project["dependencies"] if one.startswith("llama-cpp-python")]
    installs = [
        line
        for page in PAGES
        for line in page.read_text("utf-8").splitlines()
        if "pip install" in line and "llama-cpp-python/whl/" in line
    ]
    assert installs
    assert all(f'"{wanted}" --only-binary llama-cpp-python ' in line for line in installs)
    page = (ROOT / "docs" / "install.md").read_text("utf-8")
    assert f"Version {engine.wanted_version()} is tested." in page


def test_documented_scripts_exist() -> None:
    texts = "\n".join(page.read_text("utf-8") for page in PAGES)
    named = set(
        re.findall(r"(?:python|node) ((?:research/)?(?:scripts|benchmarks)/[\w/]+\.(?:py|mjs))", texts)
    )
    assert named
    assert not [name for name in named if not (ROOT / name).is_file()]
