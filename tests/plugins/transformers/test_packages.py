import types
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from jupyter_turbopilot.plugins.transformers import packages
from jupyter_turbopilot.plugins.transformers.checkpoint import TransformersOptions, check
from jupyter_turbopilot.protocol.errors import NotReadyError


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Hide these packages."""
    monkeypatch.setattr(
        packages.importlib.util, "find_spec", lambda name: None if name in names else ModuleSpec(name, None)
    )


@pytest.mark.parametrize(
    ("missing", "options", "extra"),
    [
        ("torch", TransformersOptions(), "transformers"),
        ("transformers", TransformersOptions(), "transformers"),
        ("tokenizers", TransformersOptions(), "transformers"),
        ("bitsandbytes", TransformersOptions(bits=8), "bitsandbytes"),
        ("accelerate", TransformersOptions(bits=4), "bitsandbytes"),
    ],
)
def test_require_names_the_install_command_of_a_missing_package(
    missing: str, options: TransformersOptions, extra: str, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, missing)
    with pytest.raises(NotReadyError) as refused:
        check(checkpoint, options)
    assert refused.value.code == "engine_missing"
    assert missing in refused.value.message
    assert f'python -m pip install "jupyter-turbopilot[{extra}]"' in refused.value.message


def test_import_package_names_the_reinstall_command_if_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_name: str) -> types.ModuleType:
        raise OSError("libtorch_cpu.so: cannot open shared object file")

    monkeypatch.setattr(packages.importlib, "import_module", broken)
    with pytest.raises(NotReadyError, match="force-reinstall") as refused:
        packages.import_package("torch")
    assert "libtorch" in refused.value.hint
    assert "libtorch" not in refused.value.message
