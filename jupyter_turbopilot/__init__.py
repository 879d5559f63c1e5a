"""Ghost text for notebooks from a model inside your own Jupyter server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def __getattr__(name: str) -> Any:
    """Return the version on first access, as importlib.metadata is slow."""
    if name == "__version__":
        from importlib.metadata import version

        return version("jupyter-turbopilot")
    raise AttributeError(name)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyter-turbopilot"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from jupyter_turbopilot.jupyter.extension import TurbopilotExtension

    return [{"module": "jupyter_turbopilot", "app": TurbopilotExtension}]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add `%turbopilot`, `%complete`, `%%complete` and `%fix` to a shell."""
    from jupyter_turbopilot.terminal.magics import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Remove the magics and the terminal's ghost text."""
    from jupyter_turbopilot.terminal.magics import unload

    unload(shell)
