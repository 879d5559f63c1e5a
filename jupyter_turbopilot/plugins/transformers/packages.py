"""Imports the packages for the engine; errors name the command that installs them."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

from jupyter_turbopilot.protocol.errors import EngineMissingError
from jupyter_turbopilot.util.failures import DAMAGED

if TYPE_CHECKING:
    import types

_EXTRAS = {
    "tokenizers": "transformers",
    "torch": "transformers",
    "transformers": "transformers",
    "accelerate": "bitsandbytes",
    "bitsandbytes": "bitsandbytes",
    "gptqmodel": "gptq",
    "optimum": "gptq",
}


def import_package(name: str) -> types.ModuleType:
    """Import a package; raise NotReadyError if it is missing or broken."""
    require(name)
    try:
        return importlib.import_module(name)
    except DAMAGED as error:
        broken = EngineMissingError(
            f"{name} is broken ({type(error).__name__}).", f"{install(name)} --force-reinstall"
        )
        broken.hint = str(error)
        raise broken from None


def require(*names: str) -> None:
    """Raise NotReadyError if a package is missing."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise EngineMissingError(f"{name} is missing.", install(name))


def install(name: str) -> str:
    """Return the command that installs a package."""
    return f'python -m pip install "jupyter-turbopilot[{_EXTRAS[name.partition(".")[0]]}]"'
