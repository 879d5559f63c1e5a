import os
import platform
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jupyter_turbopilot.engine.llama import bindings
from jupyter_turbopilot.engine.llama.bindings import build_command, install_command
from jupyter_turbopilot.models.ggml import Q4_0, TYPES
from jupyter_turbopilot.protocol.errors import EngineError, EngineMissingError, NotReadyError


@pytest.mark.parametrize(("given", "during"), [({}, "30000"), ({"GOMP_SPINCOUNT": "9"}, "9")])
def test_bindings_shorten_spinning_without_changing_the_environment(
    given: dict[str, str], during: str
) -> None:
    # In a child process, because the library reads the variable only when it is loaded.
    program = (
        "import os, sys\n"
        "from jupyter_turbopilot.engine.llama.bindings import bindings\n"
        "class Hook:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'llama_cpp': print(os.environ.get('GOMP_SPINCOUNT'))\n"
        "sys.meta_path.insert(0, Hook())\n"
        "bindings()\n"
        "print(os.environ.get('GOMP_SPINCOUNT'))\n"
        "sys.addaudithook(lambda event, _: event in {'os.putenv', 'os.unsetenv'} and print(event))\n"
        "bindings()  # loaded already: other threads may copy the environment\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, **given},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert result.stdout.split() == [during, str(given.get("GOMP_SPINCOUNT"))]


def test_quantise_reports_an_engine_that_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.ones((8, 32), np.float32)
    assert len(bindings.quantise(Q4_0, None, rows)) == TYPES[Q4_0].size(rows.size)
    monkeypatch.setattr(bindings, "_library", lambda *_: object())
    with pytest.raises(EngineError, match="cannot quantise"):
        bindings.quantise(Q4_0, None, rows)


class FakeDevices:
    """The functions of ggml that list devices: name, type and buffers."""

    devices = (
        (b"AMD EPYC", 0, b"CPU"),
        (b"Apple M1", 1, b"MTL0"),
        (b"Radeon", 1, b"MTL1_Private"),
        (b"Accelerate", 3, b"BLAS"),
        (b"NVIDIA", 1, b"CUDA0"),
        (b"Intel", 2, b"Vulkan0"),
    )

    def __init__(self) -> None:
        def field(index: int) -> Any:
            return lambda pointer: self.devices[pointer.value - 1][index]

        self.ggml_backend_dev_count = lambda: len(self.devices)
        self.ggml_backend_dev_get = lambda index: index + 1
        self.ggml_backend_dev_buffer_type = lambda pointer: pointer.value
        self.ggml_backend_dev_type, self.ggml_backend_buft_name = field(1), field(2)
        self.ggml_backend_dev_description = field(0)


def test_gpus_are_listed_once_and_share_memory_only_with_metals_buffers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    devices = [FakeDevices()]
    monkeypatch.setattr(bindings, "_library", lambda *_: devices[0])
    shares = {"Apple M1": True, "Radeon": False, "NVIDIA": False, "Intel": False}
    bindings.gpus.cache_clear()
    try:
        assert bindings.gpus() == [bindings.Gpu(*gpu) for gpu in shares.items()]
        devices.clear()
        assert len(bindings.gpus()) == len(shares)
    finally:
        bindings.gpus.cache_clear()


class Broken:
    """An import hook that raises an error for llama_cpp."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def find_spec(self, name: str, *_: object) -> None:
        if name == "llama_cpp":
            raise self.error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ModuleNotFoundError("No module named 'llama_cpp'", name="llama_cpp"), "is not installed. Run: "),
        (ModuleNotFoundError("No module named 'diskcache'", name="diskcache"), "Engine broken: No module"),
        (OSError("libllama.so: cannot open"), "Engine broken (OSError). Run: "),
        (SyntaxError("source code string cannot contain null bytes"), "Engine broken (SyntaxError). Run: "),
    ],
)
def test_bindings_import_error_names_the_install_command(
    monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    monkeypatch.delitem(sys.modules, "llama_cpp", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(error)])
    with pytest.raises(NotReadyError) as raised:
        bindings.bindings()
    assert message in raised.value.message
    assert raised.value.command in raised.value.message
    assert raised.value.command.startswith(install_command())
    assert raised.value.code == "engine_missing"


def test_engine_for_another_processor_is_refused_before_it_is_initialised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bindings, "_callbacks", [])
    monkeypatch.setattr(bindings, "lacks", lambda name: name == "avx2")
    with pytest.raises(EngineMissingError, match=r"another processor.*lacks avx2") as raised:
        bindings.bindings()
    assert raised.value.command == build_command()


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("Linux", "x86_64", "--only-binary llama-cpp-python --extra-index-url https://"),
        ("Windows", "AMD64", "/whl/cpu"),
        ("Darwin", "arm64", "/whl/metal"),
        ("Darwin", "x86_64", bindings.REQUIREMENT),
    ],
)
def test_install_command_names_an_index_that_has_a_wheel(
    system: str, machine: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    command = install_command()
    assert expected in command
    assert ("--only-binary" in command) is ("https://" in command)


def test_requirement_is_the_one_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text("utf-8"))["project"]
    assert bindings.REQUIREMENT.strip('"') in project["dependencies"]
