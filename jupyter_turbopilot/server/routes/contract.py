"""What our own routes answer, as schemas.

The OpenAPI document, the front end's types and the tables of `docs/http.md` are generated from these and from
the schemas that check requests. A field of `UNSET` may be missing; one that may be None is always there.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from jupyter_turbopilot.engine.phase import Phase  # noqa: TC001 - the schema is made at run time
from jupyter_turbopilot.reply import Timings  # noqa: TC001 - the schema is made at run time

Assessment = Literal["recommended", "runs", "slow", "too large", "not supported"]


class Error(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong."""

    code: Annotated[str, Meta(description="for programs, as `bad_request` or `model_missing`")]
    type: Annotated[str, Meta(description="the kind of error, as OpenAI and llama.cpp name it")]
    field: Annotated[str | None, Meta(description="the field of the request that is wrong")]
    message: Annotated[str, Meta(description="for a person: what to do next")]


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every answer whose status is 400 or more."""

    error: Error


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """One suggestion."""

    text: str
    confidence: Annotated[float, Meta(description="how likely the model takes it to be right, 0 to 1")]
    finish_reason: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer; nothing to show is a list without items."""

    id: Annotated[str, Meta(description="names the answer in `POST feedback`")]
    items: list[Suggestion]
    model: str
    timings: Timings
    finish_reason: Annotated[
        str | UnsetType, Meta(description="why there is nothing: `superseded`, `yielded`, `deadline` …")
    ] = UNSET


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a stream; the last is `done` and has the rest."""

    id: Annotated[str, Meta(description="names the answer in `POST feedback`")]
    text: Annotated[str, Meta(description="all of it so far, from the cursor that was sent")]
    confidence: Annotated[float | UnsetType, Meta(description="missing where there is an error")] = UNSET
    done: bool | UnsetType = UNSET
    finish_reason: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    timings: Timings | UnsetType = UNSET
    error: Error | UnsetType = UNSET


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether it can complete, and why not."""

    status: Annotated[
        Literal["ok", "loading model", "error"], Meta(description="as llama.cpp's server words it")
    ]
    live: Annotated[bool, Meta(description="whether the model's thread is alive")]
    ready: Annotated[bool, Meta(description="whether a completion could begin at once")]
    phase: Phase
    code: Annotated[str | None, Meta(description="why the last model was not loaded, for programs")]
    model: str
    reason: Annotated[str | None, Meta(description="why it is not ready")]
    notice: Annotated[
        str | None, Meta(description="why another model, which was selected, could not be loaded")
    ]
    last_ms: Annotated[float | None, Meta(description="how long the last completion took")]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a download; the last is `done`."""

    phase: Literal["waiting", "fetching", "verifying", "done", "failed"]
    received: Annotated[int | UnsetType, Meta(description="bytes")] = UNSET
    total: Annotated[int | UnsetType | None, Meta(description="bytes, where they are known")] = UNSET
    source: str | UnsetType = UNSET
    done: bool | UnsetType = UNSET
    error: Error | UnsetType = UNSET


class Adapter(msgspec.Struct, frozen=True, kw_only=True):
    """What a model was tuned with."""

    name: str
    language: Annotated[str, Meta(description="the only language it is used for; empty: all")]
    ours: Annotated[bool, Meta(description="whether it came with the package")]


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model of the catalogue, or a file of the person's own."""

    name: str
    spec: Annotated[str, Meta(description="what to send as `model`")]
    size: Annotated[int | None, Meta(description="bytes")]
    counted: Annotated[bool, Meta(description="whether the size is exact, not an estimate")]
    architecture: str
    fim: Annotated[str, Meta(description="how it fills in the middle; `none`: not at all")]
    checkpoint: Annotated[str, Meta(description="the checkpoint it is converted from here")]
    licence: str
    use: Annotated[str, Meta(description="what it is good for")]
    stored: Annotated[bool, Meta(description="whether it is on the disk")]
    verified: Annotated[bool, Meta(description="whether its digest was checked")]
    selected: bool
    adapters: list[Adapter]
    tuned: Annotated[bool, Meta(description="whether adapters are used")]
    pulling: Annotated[bool, Meta(description="whether it is being downloaded")]
    failed: Annotated[str | None, Meta(description="why the last download failed")]
    progress: Annotated[Progress | None, Meta(description="how far its download is")]
    mirror: Annotated[bool, Meta(description="whether `mirrors` would add a source")]
    memory: Annotated[int | UnsetType, Meta(description="bytes it would take here")] = UNSET
    tokens_a_second: Annotated[float | UnsetType, Meta(description="its estimated speed here")] = UNSET
    verdict: Annotated[Assessment | UnsetType | None, Meta(description="how it would do here")] = UNSET


class ListedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model as OpenAI lists it."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """The model that answers as OpenAI lists it, and all models for whoever may manage them."""

    object: Literal["list"]
    data: list[ListedModel]
    models: list[Model] | UnsetType = UNSET
    selected: str | UnsetType = UNSET


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """What deleting a model's file has given back."""

    freed: Annotated[int, Meta(description="bytes")]


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """Whether there was a download to stop."""

    stopped: bool
