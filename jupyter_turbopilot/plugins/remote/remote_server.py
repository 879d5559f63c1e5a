"""The description of a remote server: its software, its model and its capabilities."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

import msgspec

from jupyter_turbopilot.engine.base import SAMPLERS
from jupyter_turbopilot.plugins.remote.errors import InvalidAnswerError
from jupyter_turbopilot.protocol.errors import EngineGoneError, ModelRefusedError

MOST_NAMED = 8  # models in an error
MOST_NAME = 200  # characters
MOST_SLOTS = 256
LEAST_CONTEXT, MOST_CONTEXT = 64, 1 << 24  # tokens
LOADS = 2.0  # seconds until the next try if a server has not loaded its model


class Kind(StrEnum):
    """The software of a remote server."""

    OURS = "jupyter-turbopilot"
    LLAMA = "llama-server"
    VLLM = "vLLM"
    OPENAI = "OpenAI"  # any other server with OpenAI's completions protocol
    PROVIDER = "Hugging Face"


@dataclass(frozen=True)
class RemoteServer:
    """A remote server. Numbers that it does not report are 0."""

    kind: Kind
    model: str = ""
    slots: int = 0
    context_size: int = 0
    top: int = 0
    prefix_constraints: bool = False
    logprobs: bool = True
    prefetch: bool = True
    samplers: frozenset[str] = SAMPLERS
    version: str = ""  # of the model and software, as the server reports it
    vocabulary: str = ""  # the digest of its vocabulary
    persistent: bool = False  # whether `version` covers all that its answers depend on

    @property
    def identity(self) -> str:
        """A string that changes when the same request could get another answer."""
        return f"remote|{self.kind}|{self.model}|{self.version}|{self.vocabulary}"


class _Offer(msgspec.Struct, frozen=True):
    """The engine of another Turbopilot server."""

    slots: int = 0
    context_size: int = 0
    prefix_constraints: bool = True
    logprobs: bool = True
    top: int = 0
    prefetch: bool = True
    samplers: frozenset[str] = frozenset()
    identity: str = ""
    vocabulary: str = ""
    persistent: bool = False
    missing: bool = False


class _Entry(msgspec.Struct, frozen=True):
    id: str = ""
    owned_by: str | None = None
    max_model_len: int | None = None
    turbopilot: _Offer | None = None


class _Models(msgspec.Struct, frozen=True):
    data: list[_Entry] = []


class _Settings(msgspec.Struct, frozen=True):
    n_ctx: int = 0


class _Properties(msgspec.Struct, frozen=True):
    total_slots: int = 0
    default_generation_settings: _Settings = _Settings()


Shape = TypeVar("Shape")


def read_json(data: bytes, shape: type[Shape]) -> Shape:
    """Decode JSON to a type. Ignore unknown fields and accept NaN."""
    try:
        return msgspec.convert(json.loads(data), shape)
    except (ValueError, RecursionError):
        pass
    raise InvalidAnswerError("an answer that is not the JSON of a completions server")


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
            f"{host} {lacks} c.TurbopilotRemote.model. Its models: {names}.", code="far_model"
        )
    entry = entry or entries[0]
    if not _is_name(entry.id):
        raise ModelRefusedError(
            f"{host} has a model whose name is longer than {MOST_NAME} characters or not printable. Name "
            "another one in c.TurbopilotRemote.model.",
            code="far_model",
        )
    if offer := entry.turbopilot:
        return _ours(entry.id, offer, host)
    if entry.owned_by == "llamacpp":
        return RemoteServer(Kind.LLAMA, entry.id)
    if entry.owned_by == "vllm" or entry.max_model_len:
        return RemoteServer(Kind.VLLM, entry.id, context_size=_size(entry.max_model_len or 0))
    return RemoteServer(Kind.OPENAI, entry.id)


def _is_name(text: str) -> bool:
    return len(text) <= MOST_NAME and text.isprintable()


def _size(reported: int) -> int:
    return min(max(reported, LEAST_CONTEXT), MOST_CONTEXT) if reported > 0 else 0


def _ours(model: str, offer: _Offer, host: str) -> RemoteServer:
    if not (_is_name(offer.identity) and _is_name(offer.vocabulary)):
        raise InvalidAnswerError("an identity that is not a digest")
    if offer.missing:
        raise EngineGoneError(
            f"{host} has no usable model: its file is missing or damaged. Ask its administrator."
        )
    if offer.context_size <= 0:
        message = f"{host} has not loaded its model yet. If this persists, ask its administrator."
        raise EngineGoneError(message, after=LOADS)
    return RemoteServer(
        Kind.OURS,
        model,
        slots=min(max(1, offer.slots), MOST_SLOTS),
        context_size=_size(offer.context_size),
        top=max(0, offer.top),
        prefix_constraints=offer.prefix_constraints,
        logprobs=offer.logprobs,
        prefetch=offer.prefetch,
        samplers=offer.samplers,
        version=offer.identity,
        vocabulary=offer.vocabulary,
        persistent=offer.persistent and bool(offer.identity),
    )


def read_properties(data: bytes, peer: RemoteServer) -> RemoteServer:
    """Add the number of slots and the context size of llama-server."""
    found = read_json(data, _Properties)
    places = min(max(0, found.total_slots), MOST_SLOTS)
    return replace(peer, slots=places, context_size=_size(found.default_generation_settings.n_ctx))
