"""`jupyter turbopilot serve`: serve other editors without a Jupyter server."""

from __future__ import annotations

import logging
import os
import secrets
from argparse import ArgumentError
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.terminal.commands.command import MissingOption, add_model_and_engine, summary_of
from jupyter_turbopilot.terminal.numeric_options import add_number, whole
from jupyter_turbopilot.util.addresses import is_loopback
from jupyter_turbopilot.util.registry import failures, find, found

if TYPE_CHECKING:
    import argparse

    from jupyter_turbopilot.jupyter.identity import StandaloneIdentity
    from jupyter_turbopilot.jupyter.standalone import ListenAddress
    from jupyter_turbopilot.settings.config import Turbopilot
    from jupyter_turbopilot.util.registry import Entry

API_KEY = "TURBOPILOT_API_KEY"


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add_number(parser, "--port", whole(1, 65535), 18080, "port to listen on")
    keys = parser.add_mutually_exclusive_group()
    keys.add_argument(
        "--api-key",
        help="the key that clients send, visible in the process list; default: a new one, which is printed",
    )
    keys.add_argument(
        "--api-key-file",
        type=Path,
        metavar="FILE",
        help=f"a file with the key; alternative: the environment variable {API_KEY}",
    )
    keys.add_argument("--no-api-key", action="store_true", help="no key; only with a loopback address")
    add_model_and_engine(parser)
    for entry in found("callers"):
        summary = summary_of(entry) or f"authenticate clients with {entry.value.partition(':')[0]}"
        try:
            keys.add_argument(
                f"--{entry.name}", dest="callers", action="store_const", const=entry, help=summary
            )
        except ArgumentError as error:  # another option has this name
            failures[entry.value] = f"{error}"
    if find("callers", "hub") is None:
        keys.add_argument(
            "--hub", action=MissingOption, nargs=0, help="see the JupyterHub page of the documentation"
        )
    parser.set_defaults(execute=run, callers=None)  # without a plugin, no option sets `callers`


def run(options: argparse.Namespace, settings: Turbopilot) -> int:
    """Serve editors until the process is stopped."""
    import asyncio

    from jupyter_turbopilot.engine import lifecycle
    from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
    from jupyter_turbopilot.jupyter.standalone import for_several, refuse_usage_log, serve

    identity, place, notice = _for_plugin(options.callers) if options.callers else _for_key(options)
    if identity.distinguishes_users:
        for_several(settings)
    elif not identity.may_manage(None):
        refuse_usage_log(settings, "without a key, users cannot be identified")
    logging.basicConfig(format="%(message)s")
    logging.getLogger(lifecycle.__name__).setLevel(logging.INFO)  # log loading of the model
    # Without a key, users cannot be told apart, and cannot reset their statistics.
    has_owner = not identity.distinguishes_users and identity.may_manage(None)
    pilot = Pilot(settings, has_owner=has_owner)
    pilot.completer.listeners.load(settings, "server")
    return asyncio.run(serve(pilot, identity, place, notice))


def _for_plugin(entry: Entry) -> tuple[StandaloneIdentity, ListenAddress, str]:
    """Return a plugin's identity provider. Its entry is a function of the environment."""
    if (callers := entry.load()) is None:
        raise BadRequestError(f"--{entry.name} is not available. See: jupyter turbopilot doctor")
    identity, place = callers(os.environ)
    return identity, place, ""


def _for_key(options: argparse.Namespace) -> tuple[StandaloneIdentity, ListenAddress, str]:
    from jupyter_turbopilot.jupyter.identity import KeyIdentity
    from jupyter_turbopilot.jupyter.standalone import ListenAddress

    key = key_of(options)
    if key == "" and not is_loopback(options.host):
        raise BadRequestError(
            "Without a key, only this machine can be served. Use --host 127.0.0.1, or set a key."
        )
    notice = ""
    if key is None:
        key = secrets.token_urlsafe(24)
        notice = f"Key: {key}   (send it as: Authorization: Bearer …)"
    return KeyIdentity(key, options.host), ListenAddress(options.host, options.port), notice


def key_of(options: argparse.Namespace) -> str | None:
    """Return the clients' key; empty for none, None to create one."""
    from jupyter_turbopilot.jupyter.standalone import checked, key_from

    if options.no_api_key:
        return ""
    if options.api_key_file:
        return key_from(options.api_key_file)
    key = os.environ.get(API_KEY) or None if options.api_key is None else options.api_key
    return None if key is None else checked(key)
