"""Every way a request can fail, with the status, the code and the words a person is given."""

from __future__ import annotations

import math

_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_REFUSALS = {
    401: ("unauthenticated", "The key is missing or wrong."),
    403: ("forbidden", "You may not do that."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address has no such method."),
}


class TurbopilotError(Exception):
    """Something went wrong that a person can be told about."""

    status = 500
    code = "internal"
    exit_status = 1  # of a command; 2 where what it was given is wrong
    hint = ""  # more for a command line: never sent to a client, so it may name a path
    after = 1.0  # seconds until it is worth another try, where the status says that it is

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    @property
    def kind(self) -> str:
        """The kind of error, as OpenAI and llama.cpp name it."""
        return _KINDS.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")  # noqa: PLR2004

    @property
    def retry_after(self) -> int | None:
        """Seconds after which the client may try again; None where the status calls for no retry."""
        return max(1, math.ceil(self.after)) if self.status in {429, 503} else None

    def retry(self) -> dict[str, int | None]:
        """Return the fields that replace the status line and Retry-After in the middle of a stream."""
        return {"status": self.status, "retry_after": self.retry_after}

    def body(self, field: str | None = None) -> dict[str, dict[str, str | int | None]]:
        """Return the body of the response; `field` is the name in the request of the invalid part."""
        named = field or self.field
        error = {"code": self.code, "type": self.kind, "field": named, "message": self.message}
        return {"error": error | self.retry()}


class RefusedError(TurbopilotError):
    """The caller may not do this, or there is nothing to do it with: by default the status alone says why."""

    def __init__(self, status: int, message: str = "") -> None:
        other = "The request failed." if status < 500 else "The server failed."  # noqa: PLR2004
        code, why = _REFUSALS.get(status, ("error", other))
        super().__init__(message or why)
        self.status, self.code = status, code


class ConfigurationError(TurbopilotError):
    """One of Jupyter's configuration files is broken, or a setting in it has an invalid value."""

    exit_status = 2
    code = "configuration"

    def __init__(self, place: str, error: Exception) -> None:
        reason = " ".join(str(error).split())
        super().__init__(f"{place} has to be corrected. {type(error).__name__}: {reason}")


class BadRequestError(TurbopilotError):
    """The request is not one we can act on; `field` names the part that is wrong."""

    status = 400
    exit_status = 2
    code = "bad_request"


class UnknownTokenError(BadRequestError):
    """The loaded model has no token of this id."""

    def __init__(self, token: int, *, field: str) -> None:
        super().__init__(f"The loaded model has no token {token}. Use ids from POST tokenize.", field=field)


class BodyTooLargeError(BadRequestError):
    """More bytes were sent than a request may hold."""

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
    """Prompt and answer together are more than the model can hold at once."""

    code = "context_length_exceeded"

    def __init__(self, most: int, prompt: int, answer: int) -> None:
        super().__init__(
            f"This model's maximum context length is {most} tokens, however you requested {prompt + answer} "
            f"tokens ({prompt} in your prompt; {answer} for the completion). Please reduce your prompt; or "
            "completion length.",
            field="prompt",
        )


class BusyError(TurbopilotError):
    """More was asked than there is room for, or than one caller may ask: `code` says which.

    The client should come back in `after` seconds.
    """

    status = 429
    code = "busy"

    def __init__(self, message: str, *, code: str = "busy", after: float = 1.0) -> None:
        super().__init__(message)
        self.code = code
        self.after = after


class NotReadyError(TurbopilotError):
    """No model is loaded: `code` says which of the normal reasons it is."""

    status = 503

    def __init__(self, message: str, *, code: str = "not_ready") -> None:
        super().__init__(message)
        self.code = code


class EngineGoneError(NotReadyError):
    """The engine is gone for good: its process has ended, or its server does not answer.

    The worker loads it again; `after` is how many seconds it asked to be left alone.
    """

    def __init__(self, message: str, *, code: str = "engine_gone", after: float = 0.0) -> None:
        super().__init__(message, code=code)
        self.after = after


class UnknownModelError(TurbopilotError):
    """The model's name is neither in the catalogue nor a form we understand."""

    status = 404
    exit_status = 2
    code = "unknown_model"


class ModelRefusedError(TurbopilotError):
    """The file is damaged, hostile, too large for this machine, or crashed when it was tried."""

    status = 422
    exit_status = 2

    def __init__(self, message: str, *, code: str = "model_refused") -> None:
        super().__init__(message)
        self.code = code


class ConversionError(TurbopilotError):
    """A model cannot be written in llama.cpp's format, or a file cannot be quantised."""

    status = 422
    code = "conversion"
    exit_status = 2


class DownloadError(TurbopilotError):
    """The model could not be fetched from any of its sources."""

    status = 502
    code = "download_failed"


class NotWrittenError(DownloadError):
    """The disk or the folder does not take the model; another source would not help."""

    code = "not_written"


class CancelledError(TurbopilotError):
    """The person stopped it."""

    status = 409
    code = "cancelled"


class EngineError(TurbopilotError):
    """llama.cpp refused or failed."""

    code = "engine"


class TextFailedError(EngineError):
    """One text has failed, and nothing is wrong with the engine: `error` is what its caller is told."""

    def __init__(self, error: TurbopilotError, run: object) -> None:
        super().__init__(error.message)
        self.error = error
        self.run = run
