"""The description of this server's engine for other Turbopilot servers. Independent of the web server."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.peer import Offer, PeerOptions
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


def describe_engine(engine: Engine) -> Offer:
    """Return the capabilities of the engine. The first call for it is slow: see `vocabulary_digest`."""
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
