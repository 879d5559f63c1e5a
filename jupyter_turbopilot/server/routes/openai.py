"""OpenAI's routes for completions, as FauxPilot, Copilot and many editors call them."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from jupyter_turbopilot.engine.lifecycle import Phase
from jupyter_turbopilot.engine.remote.dialect import REPLICA_HEADER
from jupyter_turbopilot.errors import UnknownModelError
from jupyter_turbopilot.server.describe import describe_health
from jupyter_turbopilot.server.routes.base import Route
from jupyter_turbopilot.server.routes.deltas import Deltas
from jupyter_turbopilot.server.routes.endpoint import Endpoint
from jupyter_turbopilot.server.routes.jobs import JobRoute
from jupyter_turbopilot.server.routes.openai_completions import CompletionsBody
from jupyter_turbopilot.server.routes.openai_wording import Wording, error_body, model_list
from jupyter_turbopilot.server.routes.peer import FIELDS, identity, offer
from jupyter_turbopilot.server.routes.reading import read

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from jupyter_turbopilot.errors import TurbopilotError
    from jupyter_turbopilot.generation import RawRequest
    from jupyter_turbopilot.pilot.pilot import Pilot
    from jupyter_turbopilot.reply import Reply


COPILOT_TOKEN_LASTS = 1800  # seconds
REPLICA = secrets.token_hex(4)  # tells this process from others behind the same address
# What each pilot's engine offered last: a server that is asleep is as good as one that is not.
_OFFERS: WeakKeyDictionary[Pilot, dict[str, Any]] = WeakKeyDictionary()


class OpenAIRoute(Route):
    """A route whose errors have OpenAI's format."""

    def error_body(self, error: TurbopilotError) -> dict[str, Any]:
        """Return the body of an error in OpenAI's format."""
        return error_body(error, self.field(error))


class CompletionsRoute(OpenAIRoute, JobRoute):
    """`POST v1/completions`, and `v1/engines/…/completions` as older clients have it."""

    renamed = FIELDS

    def set_default_headers(self) -> None:
        """Say which of several servers behind one address answers."""
        super().set_default_headers()
        self.set_header(REPLICA_HEADER, REPLICA)

    @Endpoint(CompletionsBody, read=read)
    async def post(self, body: CompletionsBody, _engine: str = "") -> None:
        """Continue a prompt, or fill in before a suffix. The model and engine names are ignored."""
        texts = body.texts()
        engine = self.pilot.worker.engine
        wording = Wording(body, self._piece, identity(engine) if engine else "")
        if not body.stream:
            replies = await self.whole(texts)
            self.answer(await self.pilot.background.run(wording.whole, replies))
            return
        await self.events(self._growing(texts, wording), last=b"data: [DONE]\n\n")

    def _piece(self, token: int) -> bytes:
        engine = self.pilot.worker.engine
        return engine.vocabulary.piece(token) if engine else b""

    async def _growing(self, texts: list[RawRequest], wording: Wording) -> AsyncGenerator[dict[str, Any]]:
        """Stream all texts as they grow; several prompts are worked on together."""
        deltas = [Deltas(every=wording.every) for _ in texts]
        last: dict[int, Reply] = {}
        async for number, reply in self.together(texts):
            for delta in deltas[number].of(reply):
                yield wording.chunk(number, reply, delta)
            if reply.done:
                self.insist(reply, texts[number])
                last[number] = reply
        if wording.body.stream_options and wording.body.stream_options.include_usage:
            yield wording.usage_chunk([last[number] for number in sorted(last)])


class OpenAIModelsRoute(OpenAIRoute):
    """`GET v1/models`."""

    @Endpoint(errors=(UnknownModelError,))
    async def get(self, name: str = "") -> None:
        """List the selected model under its own name, and what it offers to other servers of ours."""
        name_here = describe_health(self.pilot)["model"]
        listing = model_list(name_here, turbopilot=await self._offered())
        if not name:
            self.answer(listing)
            return
        model = next((model for model in listing["data"] if model["id"] == name), None)
        if model is None:
            raise UnknownModelError(
                f"There is no model {name!r} here. GET v1/models names the one that answers.", field="model"
            )
        self.answer(model)

    async def _offered(self) -> dict[str, Any]:
        """Return what the engine offers; one that is asleep is woken if nobody knows."""
        pilot = self.pilot
        if engine := pilot.worker.engine:
            _OFFERS[pilot] = await pilot.background.run(offer, engine)
        elif pilot.worker.state.phase is not Phase.ASLEEP:
            pilot.ensure()
            return offer(None)
        elif pilot not in _OFFERS:
            pilot.worker.wake()
            return offer(None)
        return _OFFERS[pilot]


class CopilotTokenRoute(Route):
    """`GET copilot_internal/v2/token`: whoever may ask gets back the key that let it in."""

    @Endpoint()
    async def get(self) -> None:
        """Return a token, and this server as the endpoint for everything a client would send to GitHub."""
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
