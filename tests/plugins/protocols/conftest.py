"""The fixtures of the server's own routes."""

from ...jupyter.routes.conftest import ask, engine, jp_server_config, pilot, ready, server_traits, session

__all__ = ["ask", "engine", "jp_server_config", "pilot", "ready", "server_traits", "session"]
