"""A far side's key: from a file that only its owner can read, or from the environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from jupyter_turbopilot.errors import ModelRefusedError

ENGINE_KEY, HUB_KEY = "TURBOPILOT_ENGINE_KEY", "HF_TOKEN"
JUPYTERHUB_KEY = "JUPYTERHUB_API_TOKEN"
_taken: dict[str, str] = {}  # keys that are in the environment no more
MOST = 1 << 14  # characters


def read_key(file: str, *, provider: bool, jupyterhub: bool = False) -> str:
    """Return the key, or nothing where none is set. No error repeats what it read.

    `jupyterhub`: it is the token that a JupyterHub gave this server.
    """
    if jupyterhub:
        return _hub_token(file, provider=provider)
    if file:
        return _checked(_content(Path(file).expanduser()), "The file c.TurbopilotRemote.key_file")
    variable = HUB_KEY if provider else ENGINE_KEY
    return _checked(os.environ.get(variable) or _taken.get(variable, ""), f"The environment's {variable}")


def take_from_environment(*, provider: bool) -> None:
    """Keep the key for this process alone: kernels, terminals and other children inherit the environment.

    A Hugging Face token is taken only where it is the engine's: notebooks may have a use for it.
    """
    for variable in (ENGINE_KEY, HUB_KEY) if provider else (ENGINE_KEY,):
        if key := os.environ.pop(variable, ""):
            _taken[variable] = key


def _hub_token(file: str, *, provider: bool) -> str:
    """Return the token. The hub's own code in this process needs it, so it stays in the environment."""
    if file or provider:
        what = "an address has hf:" if provider else "c.TurbopilotRemote.key_file is set"
        raise _refused(f'c.TurbopilotRemote.auth is "jupyterhub", but {what}. Leave out either.')
    if not (token := os.environ.get(JUPYTERHUB_KEY)):
        raise _refused(
            f'c.TurbopilotRemote.auth is "jupyterhub", but the environment has no {JUPYTERHUB_KEY}: a '
            "JupyterHub sets it in servers that it starts. Start this one from the hub, or leave the setting "
            "out."
        )
    return _checked(token, f"The environment's {JUPYTERHUB_KEY}")


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if sys.platform != "win32" and (found.st_mode & 0o077 or found.st_uid != os.getuid()):
                raise _refused(
                    "The file c.TurbopilotRemote.key_file can be read by others, so its key is not used. "
                    "Make it yours alone: chmod 600, and get a new key if others may have read it."
                )
            content = file.read(MOST + 1)
    except OSError as error:
        raise _refused(
            f"The file c.TurbopilotRemote.key_file cannot be read ({type(error).__name__}). Correct the path."
        ) from None
    text = content.decode("ascii", "replace").strip()
    if not text:
        raise _refused("The file c.TurbopilotRemote.key_file is empty. Put the server's key into it.")
    return text


def _checked(key: str, place: str) -> str:
    key = key.strip()
    if len(key) > MOST or any(not "!" <= character <= "~" for character in key):
        raise _refused(f"{place} does not hold a key: it must be one word of ASCII characters.")
    return key


def _refused(words: str) -> ModelRefusedError:
    return ModelRefusedError(words, code="key")
