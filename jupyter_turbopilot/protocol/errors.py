"""The errors that users and clients see, with their HTTP statuses, codes and messages."""

from __future__ import annotations

import math
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logging

MISSING_SCOPE = "missing_scope"  # the code for a JupyterHub token without the scope for the service
# The codes for a server whose model file is missing or damaged.
MODEL_LOST = frozenset({"model_missing", "model_damaged"})
_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
LOG_INTERVAL = 60.0  # seconds after a logged failure in which failures of the same kind are not logged
_LAST_LOGGED: dict[tuple[str, str, str], float] = {}  # when a failure of a kind was logged
_REFUSALS = {
    401: ("unauthenticated", "The API key is missing or wrong. Send it in the header Authorization: Bearer."),
    403: ("forbidden", "The server does not allow you to do this."),
    404: ("not_found", "This URL does not exist. GET openapi.json lists the routes."),
    405: ("method_not_allowed", "This URL does not support this method. See the header Allow."),
}


class TurbopilotError(Exception):
    """An error with a message for the user."""

    status = 500
    code = "internal"
    exit_status = 1  # of a command; 2 if its input is invalid
    hint = ""  # further advice on the command line: never sent to a client, so it may contain a path
    command = ""  # the shell command that installs what is missing
    after = 1.0  # seconds until a retry, for the statuses that allow one

    def __init__(
        self, message: str, *, field: str | None = None, code: str | None = None, after: float | None = None
    ) -> None:
        """`code` and `after` replace those of the class."""
        super().__init__(message)
        self.message = message
        self.field = field
        if code is not None:
            self.code = code
        if after is not None:
            self.after = after

    @property
    def kind(self) -> str:
        """The error type of OpenAI and llama.cpp."""
        is_client_error = self.status < HTTPStatus.INTERNAL_SERVER_ERROR
        return _KINDS.get(self.status, "invalid_request_error" if is_client_error else "server_error")

    @property
    def retry_after(self) -> int | None:
        """Seconds after which the client may retry; None if the status allows no retry."""
        return max(1, math.ceil(self.after)) if self.status in {429, 503} else None

    @property
    def headers(self) -> dict[str, str]:
        """The header fields of the response."""
        headers = {"Content-Type": "application/json"}
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        if self.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            headers["Connection"] = "close"  # the server does not read the rest of the body
        return headers

    def retry(self) -> dict[str, int | None]:
        """Return the fields that replace the status line and Retry-After within a stream."""
        return {"status": self.status, "retry_after": self.retry_after}

    def body(self) -> dict[str, Any]:
        """Return the body of the response."""
        error = {"code": self.code, "type": self.kind, "field": self.field, "message": self.message}
        return {"error": error | self.retry()}

    def openai_body(self, param: str | None = None) -> dict[str, Any]:
        """Return the body in OpenAI's format; `param` is the invalid field of the request."""
        code = {"unauthenticated": "invalid_api_key", "busy": "rate_limit_exceeded"}.get(self.code, self.code)
        error = {"message": self.message, "type": self.kind, "param": param, "code": code}
        return {"error": error | self.retry()}


class RefusedError(TurbopilotError):
    """The server rejects the request because of its caller, URL or method. The status selects the message."""

    def __init__(self, status: int, message: str = "", *, code: str | None = None) -> None:
        failed = "An internal error occurred. The server's log has the details."
        other = "The request is invalid." if status < HTTPStatus.INTERNAL_SERVER_ERROR else failed
        usual, why = _REFUSALS.get(status, ("error", other))
        super().__init__(message or why, code=code or usual)
        self.status = status


class ConfigurationError(TurbopilotError):
    """A configuration file of Jupyter is invalid, or a setting in it has an invalid value."""

    exit_status = 2
    code = "configuration"

    def __init__(self, place: str, error: Exception) -> None:
        reason = " ".join(str(error).split())
        super().__init__(f"{place} has to be corrected. {type(error).__name__}: {reason}")


class DisabledError(TurbopilotError):
    """Completion is switched off, by the administrator or in the notebook."""

    status = 403
    code = "disabled"


class BadRequestError(TurbopilotError):
    """The request is invalid; `field` names the invalid part."""

    status = 400
    exit_status = 2
    code = "bad_request"


class UnknownTokenError(BadRequestError):
    """The loaded model has no token with this id."""

    def __init__(self, token: int, *, field: str) -> None:
        super().__init__(f"The loaded model has no token {token}. Use ids from POST tokenize.", field=field)


class TooComplexError(BadRequestError):
    """The text in the body needs more computation than one request may use."""

    code = "too_complex"

    def __init__(self) -> None:
        super().__init__(
            "This text needs more computation than one request may use. Send a shorter or simpler text."
        )


class BodyTooLargeError(BadRequestError):
    """The body is larger than the server accepts."""

    status = 413
    code = "too_large"


class BodyTimeoutError(BadRequestError):
    """The body did not arrive in time."""

    status = 408
    code = "body_timeout"


class WrongContentTypeError(BadRequestError):
    """The body is not declared as JSON."""

    status = 415
    code = "content_type"


class ContextLengthError(BadRequestError):
    """The prompt and the completion together exceed the model's context length."""

    code = "context_length_exceeded"

    def __init__(self, most: int, prompt: int, answer: int) -> None:
        super().__init__(
            f"This model's maximum context length is {most} tokens, however you requested {prompt + answer} "
            f"tokens ({prompt} in your prompt; {answer} for the completion). Please reduce your prompt; or "
            "completion length.",
            field="prompt",
        )


class BusyError(TurbopilotError):
    """The server is busy, or the caller has reached a limit; `code` gives the reason."""

    status = 429
    code = "busy"


class NotReadyError(TurbopilotError):
    """The server cannot answer yet, usually because no model is loaded; `code` gives the reason."""

    status = 503
    code = "not_ready"


class EngineMissingError(NotReadyError):
    """The engine, or a package that it needs, is not installed or does not work on this machine."""

    code = "engine_missing"

    def __init__(self, problem: str, command: str) -> None:
        """`command` installs it."""
        super().__init__(f"{problem} Run: {command}")
        self.problem, self.command = problem, command


class EngineGoneError(NotReadyError):
    """The engine's remote server does not respond. The worker reloads the engine.

    `after`: the remote server's Retry-After in seconds, or 0. `max_delay`: the maximum seconds between
    retries without it.
    """

    code = "engine_gone"
    after = 0.0
    max_delay = 60.0  # loading a large model burdens the machine


class UnknownModelError(TurbopilotError):
    """The model's name is neither in the catalogue nor in a supported form."""

    status = 404
    exit_status = 2
    code = "unknown_model"


class ModelRefusedError(TurbopilotError):
    """The model is damaged, malicious, too large for this machine, or crashed in the load test."""

    status = 422
    code = "model_refused"
    exit_status = 2


class ConversionError(TurbopilotError):
    """A model cannot be converted to GGUF, or a file cannot be quantised."""

    status = 422
    code = "conversion"
    exit_status = 2


class DownloadError(TurbopilotError):
    """The model could not be downloaded, or could not be written to the disk."""

    status = 502
    code = "download_failed"


class CancelledError(TurbopilotError):
    """The user cancelled the operation."""

    status = 409
    code = "cancelled"


class EngineError(TurbopilotError):
    """The engine failed."""

    code = "engine"


class TextFailedError(EngineError):
    """A single request failed; the engine still works. The caller receives `error`."""

    def __init__(self, error: TurbopilotError, run: object) -> None:
        super().__init__(error.message)
        self.error = error
        self.run = run


def log_failure(log: logging.Logger, message: str, failure: BaseException) -> None:
    """Log an unexpected failure, at most once a minute for each kind: any request may cause it.

    The traceback, which may quote the request, is logged for debugging only.
    """
    kind = log.name, message, type(failure).__name__
    now = time.monotonic()
    if now - _LAST_LOGGED.get(kind, -math.inf) >= LOG_INTERVAL:
        _LAST_LOGGED[kind] = now
        log.error("%s (%s).", message, type(failure).__name__)
    log.debug("%s.", message, exc_info=failure)
