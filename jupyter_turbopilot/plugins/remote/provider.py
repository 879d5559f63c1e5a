"""Hugging Face's inference providers and text generation inference servers, through `huggingface_hub`."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.load_shedding import Level
from jupyter_turbopilot.plugins.remote.dialect import LENGTH, UNKNOWN, EventContent, Request, probability
from jupyter_turbopilot.plugins.remote.errors import DiedError, failure
from jupyter_turbopilot.plugins.remote.http_client import retry_after
from jupyter_turbopilot.plugins.remote.text_prompt import Spellings, spread
from jupyter_turbopilot.protocol.errors import EngineError, ModelRefusedError, TurbopilotError
from jupyter_turbopilot.util.failures import DAMAGED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from huggingface_hub import AsyncInferenceClient

    from jupyter_turbopilot.plugins.remote.address import Address
    from jupyter_turbopilot.plugins.remote.dialect import Dialect
    from jupyter_turbopilot.protocol.engine_request import EngineRequest

STREAMING = {"hf-inference", "url"}  # the others do not stream
_CONNECTIONS = "_async_client"  # the attribute of the library's client with its HTTP client
_NO_KEY = "none"  # without a key, the library would send the token of the Hub login


class ProviderDialect:
    """Prompts as text without fill-in-the-middle. The library decodes the events."""

    samplers = frozenset({"temperature", "top_p", "seed"})

    def __init__(self, spellings: Spellings) -> None:
        self._spellings = spellings

    def request(self, request: EngineRequest) -> Request | None:
        """Return the arguments of the library's function."""
        prompt = self._spellings.prompt(request.prompt)
        if prompt is None:
            return None
        sampling = request.sampling
        body: dict[str, Any] = {"prompt": prompt.before, "max_new_tokens": max(1, sampling.max_tokens)}
        if sampling.temperature > 0:
            # The providers do not accept a seed of 0.
            drawing = {"temperature": sampling.temperature, "seed": sampling.seed or None}
            body |= drawing | ({"top_p": sampling.top_p} if sampling.top_p < 1 else {})
        return Request("", body)

    def read(self, data: Any) -> EventContent:
        """Convert an event of the library."""
        token, details = data.token, data.details
        ended = data.generated_text is not None or details is not None
        cut = details is not None and details.finish_reason == LENGTH
        tokens = [] if token.special else spread(token.text, [probability(token.logprob)])
        return EventContent(tokens, ended, cut=cut)


class ProviderClient:
    """A provider as one address. Each text has its own client, so that it can be cancelled separately."""

    level = Level.NONE  # providers do not report their load
    in_hub = False

    def __init__(self, address: Address, key: str, model: str, timeout: float) -> None:
        self.address = address
        self.known = False
        self._key = key or _NO_KEY
        self._model = model
        self._timeout = timeout

    async def close(self) -> None:
        """Do nothing: no connections stay open."""

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[AsyncInferenceClient]:
        """Return the library's client. It does not follow redirects, which could leak the key."""
        from huggingface_hub import AsyncInferenceClient, get_async_session

        own: dict[str, Any] = {"token": self._key, "timeout": self._timeout}
        if self.address.root:
            client = AsyncInferenceClient(self.address.root, **own)
        else:
            client = AsyncInferenceClient(self._model, **own | {"provider": self.address.provider})
        connections: Any = get_async_session()
        if self.address.local:
            # A proxy cannot reach this machine.
            connections = type(connections)(trust_env=False, timeout=None)
        connections.follow_redirects = False
        connections.event_hooks["response"].append(self._refuse_redirect)
        async with connections, client:
            setattr(client, _CONNECTIONS, connections)  # the public API can only change the global default
            yield client

    async def _refuse_redirect(self, response: Any) -> None:
        """Raise an error for a redirect, which the library would accept as an empty answer."""
        if 300 <= response.status_code < 400:  # noqa: PLR2004
            raise failure(self.address.host, response.status_code, None)

    async def stream(self, request: Request, dialect: Dialect) -> AsyncGenerator[EventContent]:
        """Send a request and yield the events of its answer."""
        from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # of its HTTP client

        async with self._client() as client:
            try:
                if self.address.provider not in STREAMING:
                    text = await client.text_generation(**request.body)
                    yield EventContent(spread(text, [UNKNOWN]), ended=True)
                    return
                events = await client.text_generation(**request.body, stream=True, details=True)
                async for event in events:
                    yield dialect.read(event)
            except (TurbopilotError, GeneratorExit):
                raise
            except (*DAMAGED, HTTPError) as error:
                raise self._translated(error) from None

    def _translated(self, error: Exception) -> Exception:
        """Return the error for an exception, without the exception's own message."""
        cause: BaseException | None = error
        while cause is not None:
            response = getattr(cause, "response", None)
            if response is not None:
                return failure(self.address.host, response.status_code, retry_after(response))
            cause = cause.__cause__
        if isinstance(error, ValueError):
            return EngineError(
                f"{self.address.host} cannot complete text with this model; it may only support chat. Choose "
                "another provider or model."
            )
        return DiedError(f"the connection failed, {type(error).__name__}")


def ensure_installed() -> None:
    """Raise ModelRefusedError if the library is missing, or would follow redirects."""
    try:
        from huggingface_hub import AsyncInferenceClient
    except ImportError:
        raise ModelRefusedError(
            "Hugging Face's providers need the package huggingface_hub. Run: "
            "pip install 'jupyter-turbopilot[remote]'.",
            code="extra_missing",
        ) from None
    if not hasattr(AsyncInferenceClient(), _CONNECTIONS):
        raise ModelRefusedError(
            "Turbopilot cannot disable redirects in this version of huggingface_hub. Run: "
            "pip install 'huggingface_hub==2.4.0'.",
            code="extra_missing",
        )
