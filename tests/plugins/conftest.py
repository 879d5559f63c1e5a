"""The fixtures of the commands."""

from ..terminal.commands.conftest import _own_runtime, own, server

__all__ = ["_own_runtime", "own", "server"]
