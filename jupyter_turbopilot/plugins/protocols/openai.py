"""OpenAI's routes for completions, used by FauxPilot, Copilot and many editors."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from jupyter_turbopilot.engine.peer import VERSION, PeerOptions, describe_engine, identity_digest
from jupyter_turbopilot.jupyter.describe import describe_health, model_list
from jupyter_turbopilot.jupyter.routes.admission import admit_texts
from jupyter_turbopilot.jupyter.routes.base import Route
from jupyter_turbopilot.jupyter.routes.endpoint import CodeEndpoint, Endpoint
from jupyter_turbopilot.jupyter.routes.jobs import Completions, require_output, try_loading
from jupyter_turbopilot.jupyter.routes.manage import COPILOT_HEADERS
from jupyter_turbopilot.jupyter.routes.streams import send_events
from jupyter_turbopilot.plugins.protocols.body import read_body
from jupyter_turbopilot.plugins.protocols.deltas import Deltas
from jupyter_turbopilot.plugins.protocols.openai_completions import CompletionFormat, CompletionsBody
from jupyter_turbopilot.protocol.errors import MODEL_LOST, UnknownModelError
from jupyter_turbopilot.protocol.phase import Phase
from jupyter_turbopilot.protocol.reply import REPLICA_HEADER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from jupyter_turbopilot.engine.peer import Offer
    from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
    from jupyter_turbopilot.protocol.engine_request import RawRequest
    from jupyter_turbopilot.protocol.errors import TurbopilotError
    from jupyter_turbopilot.protocol.reply import Reply


COPILOT_TOKEN_LASTS = 1800  # seconds
REPLICA = secrets.token_hex(4)  # identifies this process behind a load balancer
# The last engine description of each pilot, so that a sleeping server can return it.
_ENGINES: WeakKeyDictionary[Pilot, Offer] = WeakKeyDictionary()
# Field names of errors: field names in the body.
_FIELDS = {name: f"turbopilot.{name}" for name in PeerOptions.__struct_fields__}


def _error_body(error: TurbopilotError) -> dict[str, Any]:
    """Return an error in OpenAI's format."""
    return error.openai_body(_FIELDS.get(error.field or "", error.field))


class CompletionsRoute(Route):
    """`POST v1/completions`, and `v1/engines/…/completions` for older clients."""

    extra_headers = COPILOT_HEADERS | {REPLICA_HEADER: lambda: REPLICA}
    error_body = staticmethod(_error_body)

    @CodeEndpoint(CompletionsBody, read=read_body)
    async def post(self, body: CompletionsBody, _engine: str = "") -> None:
        """Continue a prompt, or fill in before a suffix. The names of models and engines are ignored."""
        texts = body.texts()
        completions = admit_texts(self, texts)
        engine = self.pilot.worker.engine
        formatter = CompletionFormat(body, self._piece, identity_digest(engine) if engine else "")
        if not body.stream:
            replies = await completions.final_replies(texts)
            self.answer(await self.run(formatter.whole, replies))
            return
        await send_events(self, _chunks(completions, texts, formatter), last=b"data: [DONE]\n\n")

    def _piece(self, token: int) -> bytes:
        engine = self.pilot.worker.engine
        return engine.vocabulary.piece(token) if engine else b""


async def _chunks(
    completions: Completions, texts: list[RawRequest], formatter: CompletionFormat
) -> AsyncGenerator[dict[str, Any]]:
    """Yield the events of all completions; several prompts are processed together."""
    deltas = [Deltas(include_hidden=formatter.include_hidden) for _ in texts]
    last: dict[int, Reply] = {}
    async for number, reply in await completions.batch(texts):
        for delta in deltas[number].of(reply):
            yield formatter.chunk(number, reply, delta)
        if reply.done:
            require_output(reply, texts[number])
            last[number] = reply
    if formatter.body.stream_options and formatter.body.stream_options.include_usage:
        yield formatter.usage_chunk([last[number] for number in sorted(last)])


class OpenAIModelsRoute(Route):
    """`GET v1/models`."""

    error_body = staticmethod(_error_body)

    @Endpoint(errors=(UnknownModelError,))
    async def get(self, name: str = "") -> None:
        """List the selected model, with the engine's capabilities for other Turbopilot servers."""
        await try_loading(self, only_again=True)
        name_here = describe_health(self.pilot)["model"]
        listing = model_list(name_here, turbopilot=await self._engine_description())
        if not name:
            self.answer(listing)
            return
        model = next((model for model in listing["data"] if model["id"] == name), None)
        if model is None:
            raise UnknownModelError(
                f"This server has no model {name!r}. GET v1/models returns the name of its model.",
                field="model",
            )
        self.answer(model)

    async def _engine_description(self) -> Offer | dict[str, Any]:
        """Return the engine's capabilities. Wake a sleeping engine if they are unknown."""
        pilot = self.pilot
        if engine := pilot.worker.engine:
            _ENGINES[pilot] = await self.run(describe_engine, engine)
        elif pilot.worker.state.phase is not Phase.UNLOADED:
            await try_loading(self)
            # If the model's file is missing or damaged, waiting does not help.
            missing = {"missing": True} if pilot.worker.state.code in MODEL_LOST else {}
            return {"version": VERSION} | missing
        elif pilot not in _ENGINES:
            pilot.worker.ensure_loaded()
            return {"version": VERSION}
        return _ENGINES[pilot]


class CopilotTokenRoute(Route):
    """`GET copilot_internal/v2/token`: returns the caller's own key as the token."""

    extra_headers = COPILOT_HEADERS

    @Endpoint()
    async def get(self) -> None:
        """Return a token, and this server as the endpoint that replaces all of GitHub's."""
        now = int(time.time())
        key = self.request.headers.get("Authorization", "").rpartition(" ")[2]
        own = self.request.full_url().partition("/copilot_internal/")[0]
        self.answer(
            {
                "token": key or f"tid=turbopilot;exp={now + COPILOT_TOKEN_LASTS}",
                "expires_at": now + COPILOT_TOKEN_LASTS,
                "refresh_in": COPILOT_TOKEN_LASTS - 300,
                "endpoints": dict.fromkeys(("api", "origin-tracker", "proxy", "telemetry"), own),
                "chat_enabled": False,
                "telemetry": "disabled",
            }
        )
