"""The description of this server's engine for other Turbopilot servers. Independent of the web server."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.peer import VERSION, Offer, PeerOptions
from jupyter_turbopilot.engine.vocabulary import vocabulary_digest

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.base import Engine

MAX_LOGPROBS = 20  # of the likeliest tokens at a position
_SHORT = 16  # hexadecimal digits of a digest

# Field names of errors: field names in the body.
FIELDS = {name: f"turbopilot.{name}" for name in PeerOptions.__struct_fields__}


def identity_digest(engine: Engine) -> str:
    """Return a digest of the engine's identity, which may contain a path."""
    known_by = f"{engine.identity}\n{engine.name}"
    return hashlib.sha256(known_by.encode()).hexdigest()[:_SHORT]


def describe_engine(engine: Engine | None, *, missing: bool = False) -> Offer | dict[str, Any]:
    """Return the capabilities of the engine, for other Turbopilot servers.

    The first call for an engine is slow: see `vocabulary_digest`. `missing`: whether the model's file is
    missing or damaged, so that waiting does not help.
    """
    if engine is None:
        return {"version": VERSION} | ({"missing": True} if missing else {})
    capabilities = engine.capabilities
    return Offer(
        slots=capabilities.slots,
        context_size=engine.context_size,
        prefix_constraints=capabilities.prefix_constraints,
        logprobs=capabilities.logprobs,
        top=min(capabilities.top, MAX_LOGPROBS),
        prefetch=capabilities.prefetch,
        samplers=tuple(sorted(capabilities.samplers)),
        version=identity_digest(engine),
        vocabulary=vocabulary_digest(engine.vocabulary),
        persistent=capabilities.persistent,
    )
