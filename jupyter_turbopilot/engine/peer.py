"""The protocol between Turbopilot servers: an engine's capabilities, and fields beyond OpenAI's."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, cast

import msgspec
from msgspec import Meta

from jupyter_turbopilot.engine.base import SAMPLING_OPTIONS
from jupyter_turbopilot.engine.vocabulary import vocabulary_digest
from jupyter_turbopilot.protocol.engine_request import ExactRequest, PrefixConstraint, Urgency
from jupyter_turbopilot.protocol.errors import BadRequestError

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.protocol.engine_request import EngineRequest

VERSION = 1
# Each token is compared with every allowed prefix, and each draft is searched in the hint.
MAX_PREFIXES, MAX_PREFIX_BYTES, MAX_PREFIX_TOTAL = 2048, 1024, 1 << 16
MAX_HINT = 1 << 13
MAX_LOGPROBS = 20  # of the likeliest tokens at a position
_SHORT = 16  # hexadecimal digits of a digest

TokenId = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Prefix = Annotated[bytes, Meta(max_length=MAX_PREFIX_BYTES)]
Index = Annotated[int, Meta(ge=0, le=1 << 20)]


class PeerOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Options that another Turbopilot server sends in addition to OpenAI's fields."""

    prefixes: Annotated[
        list[Prefix],
        Meta(
            max_length=MAX_PREFIXES,
            description="the completion starts with one of these byte strings (base64)",
        ),
    ] = []
    typed_bytes: Annotated[
        int,
        Meta(
            ge=0, le=MAX_PREFIX_BYTES, description="number of leading bytes that are already in the document"
        ),
    ] = 0
    banned_token: Annotated[
        TokenId | None, Meta(description="a token that the completion must not start with")
    ] = None
    draft: Annotated[
        list[TokenId], Meta(max_length=MAX_HINT, description="draft tokens; the server verifies them")
    ] = []
    draft_aligned: Annotated[bool, Meta(description="whether the draft starts at a token boundary")] = True
    stable_range: Annotated[
        Annotated[list[Index], Meta(min_length=2, max_length=2)] | None,
        Meta(description="`[from, to]`: tokens of the prompt that rarely change, but move"),
    ] = None
    context_end: Annotated[
        Index, Meta(description="tokens of the prompt before this one may move if earlier ones change")
    ] = 0
    priority: Annotated[
        Urgency | None, Meta(description="priority; several or long completions are at most `bulk`")
    ] = None
    automatic: Annotated[
        bool,
        Meta(description="whether the editor sends it while the user types: a busy server may refuse it"),
    ] = False

    @classmethod
    def of(cls, request: EngineRequest) -> PeerOptions:
        """Return the options of a request to another server."""
        beginning, (start, stop) = request.sampling.beginning, request.suffix_span
        return cls(
            prefixes=list(beginning.candidates),
            typed_bytes=beginning.typed,
            banned_token=beginning.banned,
            draft=list(request.hint),
            draft_aligned=request.aligned,
            stable_range=[start, stop] if start < stop else None,
            context_end=request.context_end,
            priority=cast("Urgency | None", request.priority or None),
            automatic=request.automatic,
        )

    def beginning(self) -> PrefixConstraint:
        if sum(map(len, self.prefixes)) > MAX_PREFIX_TOTAL:
            raise BadRequestError(
                f"prefixes may have at most {MAX_PREFIX_TOTAL} bytes in total.", field="prefixes"
            )
        if self.typed_bytes > min(map(len, self.prefixes), default=0):
            raise BadRequestError(
                "typed_bytes must not exceed the length of any item of prefixes.", field="typed_bytes"
            )
        prefixes: list[bytes] = []
        for prefix in sorted(self.prefixes):
            # An extension of another prefix adds nothing, but would slow down each comparison.
            if not (prefixes and prefix.startswith(prefixes[-1])):
                prefixes.append(prefix)
        return PrefixConstraint(tuple(prefixes), self.typed_bytes, self.banned_token)

    def exact(self, size: int) -> ExactRequest:
        """Return the other options, for a prompt of `size` tokens."""
        start, stop = self.stable_range or (0, 0)
        if self.context_end >= size:
            raise BadRequestError("context_end must be less than the prompt's length.", field="context_end")
        if not start <= stop < size:  # the last token is always evaluated
            raise BadRequestError(
                "stable_range must be [from, to] and end before the prompt's last token.",
                field="stable_range",
            )
        return ExactRequest(
            hint=tuple(self.draft),
            aligned=self.draft_aligned,
            suffix_span=(start, stop),
            context_end=self.context_end,
            urgency=self.priority,
            automatic=self.automatic,
        )


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """The capabilities of a server, as a Turbopilot server reports them. Unknown numbers are 0."""

    protocol: int = msgspec.field(default=VERSION, name="version")
    slots: int = 0
    context_size: int = 0
    prefix_constraints: bool = False
    logprobs: bool = True
    top: int = 0
    prefetch: bool = True
    samplers: tuple[str, ...] = tuple(sorted(SAMPLING_OPTIONS))
    # Of the model and software.
    version: str = msgspec.field(default="", name="identity")
    vocabulary: str = ""  # the digest of its vocabulary
    persistent: bool = False  # whether `version` covers all that its answers depend on
    missing: bool = False  # whether the model's file is missing or damaged


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
