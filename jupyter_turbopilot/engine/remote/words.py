"""What a person is told about a far side that refuses, fails or sends nonsense. Pure.

Never in its own words: many servers repeat in an error what they were sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.errors import (
    BadRequestError,
    BusyError,
    EngineError,
    EngineGoneError,
    NotReadyError,
    TurbopilotError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

TOO_MANY, UNAVAILABLE, WAIT = 429, 503, frozenset({429, 503})
_REFUSALS = {
    400: "did not accept the request. Check c.TurbopilotRemote.model, vocabulary and fim.",
    401: "wants a key, or another one than this. Put it into the environment variable TURBOPILOT_ENGINE_KEY "
    "(HF_TOKEN for Hugging Face) or into the file that c.TurbopilotRemote.key_file names.",
    403: "does not allow this key to use the model. Ask its operator, or use another key.",
    404: "has no such model or route. Check c.TurbopilotRemote.urls and model; a server that only chats "
    "cannot complete text.",
    405: "has no such route. Check c.TurbopilotRemote.urls.",
    413: "takes no prompts of this length. Lower c.Turbopilot.prompt_tokens.",
    422: "did not accept the request. Check c.TurbopilotRemote.model, vocabulary and fim.",
    501: "cannot do this with its model. Set c.TurbopilotRemote.fim to another form.",
}

_HUB_REFUSALS = {
    401: "does not know your JupyterHub token: it has expired, or was revoked. Stop your server in the hub's "
    "control panel and start it again.",
    403: "is not open to your JupyterHub token. Ask the hub's administrator for the scope to use the service "
    "(docs/jupyterhub.md); then stop your server and start it again.",
}


class StrangeAnswerError(ValueError):
    """A far side sent what cannot be read; the words say what, and nothing of it."""


class ErrorEventError(StrangeAnswerError):
    """An event of a stream is an error; `status` is 0 and `after` None where the event does not say.

    Our server sends `status` and `retry_after`; llama-server and vLLM send the status as `code`.
    """

    def __init__(self, error: Any) -> None:
        super().__init__("an error instead of the rest of its answer")
        fields = error if isinstance(error, dict) else {}
        statuses = (fields.get("status"), fields.get("code"))
        self.status = next((each for each in statuses if type(each) is int and 400 <= each < 600), 0)  # noqa: PLR2004
        after = fields.get("retry_after")
        self.after = float(after) if type(after) is int and after >= 0 else None


class FarRefusalError(EngineError):
    """A far side refuses a request; `answered` is the status."""

    def __init__(self, message: str, answered: int) -> None:
        super().__init__(message)
        self.answered = answered


class DiedError(Exception):
    """A request ended before its answer did; the words say how.

    `error` is what a person is told where no other address answers.
    """

    def __init__(self, how: str, error: EngineGoneError | None = None) -> None:
        super().__init__(how)
        self.error = error


class AskedToWaitError(Exception):
    """A far side asks to be left alone, for `after` seconds if it says so; `error` is for who cannot wait."""

    def __init__(self, error: TurbopilotError, after: float | None) -> None:
        super().__init__(error.message)
        self.error = error
        self.after = after


def failure(host: str, status: int, after: float | None, *, in_hub: bool = False) -> Exception:
    """Return what is raised for an HTTP status that is none of success."""
    error = refused(host, status, in_hub=in_hub)
    return AskedToWaitError(error, after) if status in WAIT else error


def refused(host: str, status: int, *, in_hub: bool = False) -> TurbopilotError:
    """Return the error for an HTTP status that is none of success."""
    if status == TOO_MANY:
        return BusyError(f"{host} has too many requests. Try again in a moment.")
    if status == UNAVAILABLE and in_hub:
        return NotReadyError(
            f"{host} is not ready: the model that the JupyterHub's users share is loading, or does not run. "
            "Try again in a moment."
        )
    if status == UNAVAILABLE:
        return NotReadyError(f"{host} is not ready: its model may be loading. Try again in a moment.")
    told = (in_hub and _HUB_REFUSALS.get(status)) or _refusal(status)
    return FarRefusalError(f"{host} {told}", status)


def not_accepted(host: str, option: str) -> BadRequestError:
    """Return the error for an option that a far side names as wrong."""
    return BadRequestError(f"{host} does not accept this {option}. Change it, or leave it out.", field=option)


def _refusal(status: int) -> str:
    if status in _REFUSALS:
        return _REFUSALS[status]
    if 300 <= status < 400:  # noqa: PLR2004
        return "redirects, which is not followed. Put the address it leads to into c.TurbopilotRemote.urls."
    if status >= 500:  # noqa: PLR2004
        return f"failed ({status}). Its log says why."
    return f"answered {status}. Check c.TurbopilotRemote.urls."


def strange(host: str, what: object) -> EngineError:
    """Return the error for an answer that cannot be read."""
    return EngineError(f"{host} sent {what}. Check that c.TurbopilotRemote.urls names a completions server.")


def gone(hosts: Iterable[str], how: object) -> EngineGoneError:
    """Return the error for addresses none of which answers."""
    return EngineGoneError(
        f"{', '.join(hosts)} cannot be reached ({how}). Check the address, and that the server runs, or tell "
        "whoever administers it."
    )


def changed(host: str) -> EngineGoneError:
    """Return the error for a far side that has another model than it had."""
    return EngineGoneError(f"{host} has another model now. It is being asked again.", code="model_changed")
