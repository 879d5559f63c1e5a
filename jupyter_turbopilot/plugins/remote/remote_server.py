"""The description of a remote server: its software, its model and its capabilities."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
from msgspec import structs

from jupyter_turbopilot.engine.peer import Offer
from jupyter_turbopilot.models.sources import endpoint
from jupyter_turbopilot.plugins.remote.dialect import read_json
from jupyter_turbopilot.protocol.errors import EngineGoneError, ModelRefusedError

if TYPE_CHECKING:
    from jupyter_turbopilot.plugins.remote.http_client import HttpClient

MOST_NAMED = 8  # models in an error
MOST_NAME = 200  # characters
LOADS = 2.0  # seconds until the next try if a server has not loaded its model
ROUTE = "/v1/completions"
# The routes of Hugging Face's providers that differ.
_ROUTES = {
    "deepinfra": "/v1/openai/completions",
    "hf-inference": "/models/{model}/v1/completions",
    "novita": "/v3/openai/completions",
}


class Kind(StrEnum):
    """The software of a remote server."""

    OURS = "jupyter-turbopilot"
    LLAMA = "llama-server"
    VLLM = "vLLM"
    OPENAI = "OpenAI"  # any other server with OpenAI's completions protocol
    PROVIDER = "Hugging Face"


class RemoteServer(Offer, frozen=True):
    """A remote server."""

    kind: Kind
    model: str = ""
    route: str = ROUTE  # for completions

    @property
    def identity(self) -> str:
        """A string that changes when the same request could get another answer."""
        return f"remote|{self.kind}|{self.model}|{self.version}|{self.vocabulary}"


class _Entry(msgspec.Struct, frozen=True):
    id: str = ""
    owned_by: str | None = None
    max_model_len: int | None = None
    turbopilot: Offer | None = None


class _Models(msgspec.Struct, frozen=True):
    data: list[_Entry] | None = None  # Ollama's is null if it has no model


class _Settings(msgspec.Struct, frozen=True):
    n_ctx: int = 0


class _Properties(msgspec.Struct, frozen=True):
    total_slots: int = 0
    default_generation_settings: _Settings = _Settings()


class _Provided(msgspec.Struct, frozen=True, rename="camel"):
    provider_id: str
    task: str = ""


class _Mapping(msgspec.Struct, frozen=True, rename="camel"):
    inference_provider_mapping: dict[str, _Provided] | None = None


async def identify(client: HttpClient, wanted: str) -> RemoteServer:
    """Request the description of a remote server; `wanted` is the configured model."""
    if client.address.provider:
        return await _identify_provider(client, wanted)
    data = await client.fetch("/v1/models")
    if data is None:
        return RemoteServer(Kind.OPENAI, wanted)
    server = read_models(data, wanted, client.address.host)
    if server.kind is Kind.LLAMA and (data := await client.fetch("/props")):
        found = read_json(data, _Properties)
        size = found.default_generation_settings.n_ctx
        return structs.replace(server, slots=found.total_slots, context_size=size)
    return server


async def _identify_provider(client: HttpClient, wanted: str) -> RemoteServer:
    """Ask Hugging Face how the provider calls the model."""
    name = client.address.provider
    data = await client.fetch(f"{endpoint()}/api/models/{wanted}?expand=inferenceProviderMapping")
    mapping = read_json(data, _Mapping).inference_provider_mapping if data else None
    found = (mapping or {}).get(name)
    if found is None or found.task != "text-generation":
        raise ModelRefusedError(
            f"{client.address.host} cannot complete text with this model; it may only support chat. Choose "
            "another provider or model.",
            code="remote_model",
        )
    route = _ROUTES.get(name, ROUTE).format(model=found.provider_id)
    return RemoteServer(Kind.PROVIDER, found.provider_id, route=route)


def read_models(data: bytes, wanted: str, host: str) -> RemoteServer:
    """Return the description of a server from its list of models; `wanted` is the configured model."""
    entries = read_json(data, _Models).data
    if not entries:
        raise EngineGoneError(f"{host} has no model. Its administrator has to load one.")
    entry = next((entry for entry in entries if entry.id == wanted), None)
    if entry is None and (wanted or len(entries) > 1):
        names = ", ".join(entry.id for entry in entries[:MOST_NAMED] if _is_name(entry.id))
        lacks = "does not have the model of" if wanted else "has several models. Name one in"
        raise ModelRefusedError(
            f"{host} {lacks} c.TurbopilotRemote.model. Its models: {names}.", code="remote_model"
        )
    entry = entry or entries[0]
    if not _is_name(entry.id):
        raise ModelRefusedError(
            f"{host} has a model whose name is longer than {MOST_NAME} characters or not printable. Name "
            "another one in c.TurbopilotRemote.model.",
            code="remote_model",
        )
    if offer := entry.turbopilot:
        if offer.missing:
            raise EngineGoneError(
                f"{host} has no usable model: its file is missing or damaged. Ask its administrator."
            )
        if offer.context_size <= 0:
            message = f"{host} has not loaded its model yet. If this persists, ask its administrator."
            raise EngineGoneError(message, after=LOADS)
        persistent = offer.persistent and bool(offer.version)
        return RemoteServer(Kind.OURS, entry.id, **structs.asdict(offer) | {"persistent": persistent})
    if entry.owned_by == "llamacpp":
        return RemoteServer(Kind.LLAMA, entry.id)
    if entry.owned_by == "vllm" or entry.max_model_len:
        return RemoteServer(Kind.VLLM, entry.id, context_size=entry.max_model_len or 0)
    return RemoteServer(Kind.OPENAI, entry.id)


def _is_name(text: str) -> bool:
    return len(text) <= MOST_NAME and text.isprintable()
