"""The sockets that systemd passes to the service (socket activation)."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from jupyter_turbopilot.protocol.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST_FD = 3  # the first file descriptor that systemd passes


def passed_sockets(environ: Mapping[str, str], host: str, port: int) -> tuple[socket.socket, ...]:
    """Return the sockets that systemd has opened for this process .

    Raise an error unless they listen on the configured address: otherwise the hub would not find the service.
    """
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdecimal():
        return ()  # the variables may be inherited from another process
    sockets = tuple(_passed_socket(number, host, port) for number in range(FIRST_FD, FIRST_FD + int(count)))
    for each in sockets:
        each.settimeout(0)
        each.set_inheritable(False)
    return sockets


def _passed_socket(number: int, host: str, port: int) -> socket.socket:
    """Return the socket of a file descriptor, or raise an error unless it listens on the address."""
    found = "a file descriptor that is not a listening socket"
    with suppress(OSError):
        passed = socket.socket(fileno=number)
        if passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            name = passed.getsockname()
            found = f"a socket on {f'{name[0]}:{name[1]}' if isinstance(name, tuple) else name}"
            if name[:2] in {address[:2] for *_, address in socket.getaddrinfo(host, port)}:
                return passed
    raise BadRequestError(
        f"systemd has passed {found}, but the address of this service is {host}:{port}. Set the same address "
        "as ListenStream in the socket unit, and as JUPYTERHUB_SERVICE_URL in the service unit."
    )
