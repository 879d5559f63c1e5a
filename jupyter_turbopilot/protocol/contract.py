"""Schemas of the responses of Turbopilot's own routes.

The OpenAPI document and the front end's types are generated from these and from the schemas that validate
requests. A field whose default is `UNSET` may be missing; one that may be None is always present.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, structs

from jupyter_turbopilot.protocol.fix import Edit, Fix  # noqa: TC001 - the schema is made at run time
from jupyter_turbopilot.protocol.phase import Phase  # noqa: TC001 - the schema is made at run time
from jupyter_turbopilot.protocol.reply import Item, Reply, Timings

Assessment = Literal["recommended", "runs", "slow", "too large", "with transformers"]


class Error(msgspec.Struct, frozen=True, kw_only=True):
    """Details of an error."""

    code: Annotated[
        str, Meta(description="error code for programs, such as `bad_request` or `model_missing`")
    ]
    type: Annotated[str, Meta(description="error type, with the names that OpenAI and llama.cpp use")]
    field: Annotated[str | None, Meta(description="field of the request that caused the error")]
    message: Annotated[str, Meta(description="message for the user, with advice")]
    status: Annotated[
        int, Meta(description="HTTP status of the error; in a stream, the response itself has the status 200")
    ]
    retry_after: Annotated[
        int | None,
        Meta(description="seconds after which to try again, as in `Retry-After`; null: no retry is expected"),
    ]


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Body of every response with a status of 400 or above."""

    error: Error


Uncached = Annotated[
    bool | UnsetType,
    Meta(
        description="do not cache this response: it may contain text from files that are not open, or the "
        "next response may differ"
    ),
]
Imports = Annotated[
    list[str] | UnsetType,
    Meta(
        description="import lines that the text requires and the notebook lacks, each binding one name; "
        "missing if there are none"
    ),
]


Opens = Annotated[
    str | UnsetType,
    Meta(
        description="the opening bracket, or bracket and quote, that very probably follows the text; an "
        "editor inserts it as if it was typed, and so may close the bracket; missing if there is none"
    ),
]

Table = Annotated[
    str | UnsetType,
    Meta(
        description="the variable of the kernel whose column the text names at the cursor; missing if there "
        "is none"
    ),
]


Read = Annotated[
    bool | UnsetType,
    Meta(
        description="the text was read from the kernel or its folder and not generated: send it only if "
        "it is accepted; missing if it was generated"
    ),
]


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """A suggestion."""

    text: str
    confidence: Annotated[
        float, Meta(description="estimated probability that the suggestion is right, from 0 to 1")
    ]
    imports: Imports = UNSET
    opens: Opens = UNSET
    table: Table = UNSET
    read: Read = UNSET
    finish_reason: Annotated[str, Meta(description="`stop`, `length` or `deadline`")]

    @classmethod
    def of(cls, item: Item) -> Suggestion:
        return cls(
            text=item.text,
            confidence=item.confidence,
            imports=[*item.imports] or UNSET,
            opens=item.opens or UNSET,
            table=item.table or UNSET,
            read=item.is_read or UNSET,
            finish_reason=item.finish_reason,
        )


HiddenReason = Annotated[
    Literal["unsure", "short", "invalid", "unknown_name", "nothing"] | UnsetType,
    Meta(
        description="why an automatic suggestion is not shown: the model is not confident, the text is not "
        "worth reading, it would not fit the code, it would use a name or a column that does not exist, or "
        "the model generated no text"
    ),
]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A complete response; `items` is empty when there is nothing to suggest."""

    id: Annotated[str, Meta(description="identifies this response in `POST feedback`")]
    items: list[Suggestion]
    model: str
    timings: Timings
    finish_reason: Annotated[
        str | UnsetType, Meta(description="why `items` is empty: `superseded`, `yielded`, `deadline`, …")
    ] = UNSET
    hidden_reason: HiddenReason = UNSET
    uncached: Uncached = UNSET

    @classmethod
    def of(cls, reply: Reply) -> Answer:
        hidden_reason: Any = (reply.done and not reply.items and reply.hidden_reason) or UNSET
        return cls(
            id=reply.id,
            items=[Suggestion.of(item) for item in reply.items],
            model=reply.model,
            timings=reply.timings.rounded,
            finish_reason=reply.finish_reason or UNSET,
            hidden_reason=hidden_reason,
            uncached=reply.uncached or UNSET,
        )


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a streamed response. The last has `done: true`, the model and the timings."""

    id: Annotated[str, Meta(description="identifies this response in `POST feedback`")]
    text: Annotated[str, Meta(description="complete text so far, starting at the cursor of the request")]
    confidence: Annotated[float | UnsetType, Meta(description="missing if there is an error")] = UNSET
    imports: Imports = UNSET
    opens: Opens = UNSET
    table: Table = UNSET
    read: Read = UNSET
    done: bool | UnsetType = UNSET
    finish_reason: str | UnsetType = UNSET
    hidden_reason: HiddenReason = UNSET
    model: str | UnsetType = UNSET
    timings: Timings | UnsetType = UNSET
    uncached: Uncached = UNSET
    error: Error | UnsetType = UNSET

    @classmethod
    def of(cls, reply: Reply) -> Frame:
        answer = Answer.of(reply)
        item = reply.items[0] if reply.items else Item("", 0.0, reply.finish_reason or "stop")
        shown = structs.asdict(Suggestion.of(item)) | {"finish_reason": UNSET}
        frame = cls(id=reply.id, hidden_reason=answer.hidden_reason, uncached=answer.uncached, **shown)
        if not reply.done:
            return frame
        reason = reply.finish_reason or item.finish_reason
        return structs.replace(
            frame, done=True, finish_reason=reason, model=answer.model, timings=answer.timings
        )


class Fixes(msgspec.Struct, frozen=True, kw_only=True):
    """The fixes for an error, best first: at most three."""

    id: Annotated[str, Meta(description="identifies this response in `POST feedback`")]
    fixes: list[Fix]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A name, a file or a value in the checked cell that does not exist."""

    start: Annotated[int, Meta(ge=0, description="start of the name in the cell, in code points")]
    end: Annotated[int, Meta(ge=0, description="end of the name, in code points")]
    message: Annotated[str, Meta(description="message for the user, with names between backticks")]
    fixes: Annotated[
        list[Fix], Meta(description="the nearest name or a missing import, if there is one: at most one fix")
    ]


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What does not exist of the names in a cell, in the order of the text: at most ten findings."""

    id: Annotated[str, Meta(description="identifies this response in `POST feedback`")]
    findings: list[Finding]
    unanswered: Annotated[
        bool, Meta(description="whether the kernel has not answered, so that earlier findings may still hold")
    ]


class RenameEdits(msgspec.Struct, frozen=True, kw_only=True):
    """The edits that rename the other uses of a name; `edits` is empty if there is nothing to offer."""

    id: Annotated[str, Meta(description="identifies this response in `POST feedback`")]
    title: Annotated[str, Meta(description="the offer, such as `Rename 7 uses of 'a' to 'b' in 3 cells?`")]
    edits: list[Edit]
    run: Annotated[
        list[int],
        Meta(description="indices of the cells to run afterwards, because the kernel still has the old name"),
    ]


class RepeatEdits(msgspec.Struct, frozen=True, kw_only=True):
    """The edits of the other occurrences of edited code; `edits` is empty if there is nothing to offer."""

    id: Annotated[str, Meta(description="identifies this response in `POST feedback`")]
    title: Annotated[str, Meta(description="the offer to the user, such as `Change 3 more occurrences?`")]
    edits: Annotated[
        list[Edit], Meta(description="one for each occurrence; each may be applied without the others")
    ]


class NotebookIndex(msgspec.Struct, frozen=True, kw_only=True):
    """The notebook index."""

    building: Annotated[bool, Meta(description="whether the server is adding files")]
    files: Annotated[int, Meta(description="number of notebooks and files in the index")]
    found: Annotated[int, Meta(description="number of notebooks and files found so far")]
    paused: Annotated[
        Literal["kernel", "battery"] | None,
        Meta(description="why the server adds no files now: a kernel is busy, or the machine is on battery"),
    ]
    root: Annotated[str, Meta(description="the indexed folder")]
    path: Annotated[str, Meta(description="path of the index file")]
    error: Annotated[str | None, Meta(description="why there is no index although the settings allow it")]


class Week(msgspec.Struct, frozen=True, kw_only=True):
    """Suggestions since Monday."""

    shown: Annotated[int, Meta(description="how many appeared automatically")]
    accepted: Annotated[int, Meta(description="how many of these were accepted")]
    saved: Annotated[
        int, Meta(description="keystrokes saved: characters inserted, minus one for each acceptance")
    ]
    retained: Annotated[
        float | None,
        Meta(
            description="share of the accepted characters that were still there when their cell was executed "
            "next; null: none was executed"
        ),
    ]


class UsageLog(msgspec.Struct, frozen=True, kw_only=True):
    """The usage log of suggestion outcomes."""

    text: Annotated[
        bool, Meta(description="whether the log contains the text of suggestions, not only numbers")
    ]
    file: Annotated[str | None, Meta(description="path of the log; null if you may not manage this server")]
    error: Annotated[str | None, Meta(description="why the server cannot write the log now")]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """State of the server and its model."""

    status: Annotated[
        Literal["ok", "loading model", "error"], Meta(description="the values that llama.cpp's server uses")
    ]
    live: Annotated[bool, Meta(description="whether the model's thread is running")]
    ready: Annotated[bool, Meta(description="whether a completion can start immediately")]
    phase: Phase
    code: Annotated[str | None, Meta(description="error code of the last failed load")]
    model: Annotated[str, Meta(description="the loaded model, or the selected one")]
    reason: Annotated[str | None, Meta(description="why the server is not ready")]
    command: Annotated[str | None, Meta(description="shell command that installs what is missing")]
    address: Annotated[
        str | None,
        Meta(description="the remote host that code is sent to; null: the model runs on this machine"),
    ]
    notice: Annotated[
        str | None,
        Meta(
            description="why another model could not be loaded, what this engine does not support, "
            "or why the completion cache is not stored in a file"
        ),
    ]
    busy: Annotated[
        bool | UnsetType,
        Meta(
            description="whether the server does less for each user because other users wait: suggestions "
            "may be slower, shorter or missing"
        ),
    ] = UNSET
    slow: Annotated[
        str | UnsetType | None,
        Meta(
            description="message if the machine is slow, with a model that fits it; null: it is fast enough, "
            "or the speed is unknown"
        ),
    ] = UNSET
    last_ms: Annotated[float | None, Meta(description="duration of the last completion in milliseconds")]
    fixes: Annotated[
        bool | UnsetType,
        Meta(description="whether the server suggests fixes, renames and repeated edits"),
    ] = UNSET
    notebook_index: Annotated[
        NotebookIndex | None,
        Meta(description="the notebook index; null: there is none, or you may not see it"),
    ]
    week: Annotated[
        Week | None,
        Meta(description="this week's suggestions; null if the server does not count yours"),
    ]
    usage_log: Annotated[
        UsageLog | None,
        Meta(description="the usage log; null if there is none of the caller's suggestions"),
    ]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One line of download progress. The last has `done: true`."""

    phase: Literal["waiting", "downloading", "verifying", "done", "failed"]
    received: Annotated[int | UnsetType, Meta(description="bytes received")] = UNSET
    total: Annotated[int | UnsetType | None, Meta(description="total size in bytes, if known")] = UNSET
    source: Annotated[str | UnsetType, Meta(description="source of the file")] = UNSET
    done: bool | UnsetType = UNSET
    error: Error | UnsetType = UNSET


class Adapter(msgspec.Struct, frozen=True, kw_only=True):
    """A LoRA adapter of a model."""

    name: str
    bundled: Annotated[bool, Meta(description="whether it ships with the package")]


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model from the catalogue, or a local file."""

    name: str
    spec: Annotated[str, Meta(description="value for `model` in requests")]
    size: Annotated[int | None, Meta(description="file size in bytes")]
    exact_size: Annotated[bool, Meta(description="whether `size` is exact rather than estimated")]
    architecture: str
    fim: Annotated[str, Meta(description="fill-in-the-middle format; `none` if not supported")]
    checkpoint: Annotated[
        str, Meta(description="Hugging Face checkpoint that it is converted from on this machine, if any")
    ]
    licence: str
    use: Annotated[str, Meta(description="intended use")]
    saved: Annotated[
        float | None,
        Meta(description="share of keystrokes saved at `balanced`; null if it was not measured"),
    ]
    stored: Annotated[bool, Meta(description="whether its file is on disk and not known to be damaged")]
    verified: Annotated[bool, Meta(description="whether its checksum was verified")]
    selected: Annotated[bool, Meta(description="whether it is the model in use")]
    adapters: list[Adapter]
    adapters_enabled: Annotated[bool, Meta(description="whether adapters are enabled")]
    pulling: Annotated[bool, Meta(description="whether it is being downloaded")]
    copying: Annotated[
        bool | UnsetType, Meta(description="whether its tuned copy is being made in the background")
    ] = UNSET
    failed: Annotated[str | None, Meta(description="why the last download failed")]
    progress: Annotated[Progress | None, Meta(description="progress of a running download")]
    mirror: Annotated[bool, Meta(description="whether allowing mirrors adds a source")]
    mirror_only: Annotated[
        bool | UnsetType, Meta(description="whether mirrors are its only source, and are not allowed yet")
    ] = UNSET
    damaged: Annotated[bool | UnsetType, Meta(description="whether its file on disk is damaged")] = UNSET
    received: Annotated[
        int | UnsetType | None, Meta(description="size of the unfinished download in bytes, or null")
    ] = UNSET
    removable: Annotated[
        bool | UnsetType, Meta(description="whether it may be deleted; false for the user's own files")
    ] = UNSET
    memory: Annotated[int | UnsetType, Meta(description="estimated memory on this machine, in bytes")] = UNSET
    tokens_per_second: Annotated[
        float | UnsetType, Meta(description="estimated speed on this machine, in tokens per second")
    ] = UNSET
    verdict: Annotated[Assessment | UnsetType | None, Meta(description="assessment for this machine")] = UNSET
    gpu_offer: Annotated[
        str | UnsetType, Meta(description="for the model in use: message that offers a GPU that is not used")
    ] = UNSET


class ListedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model in OpenAI's format."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """The selected model in OpenAI's format, and all models for callers who may manage them."""

    object: Literal["list"]
    data: list[ListedModel]
    models: Annotated[list[Model] | UnsetType, Meta(description="all models, the default one first")] = UNSET
    selected: Annotated[str | UnsetType, Meta(description="the selected model")] = UNSET


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """Result of deleting a model's files."""

    freed: Annotated[int, Meta(description="disk space freed, in bytes")]


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """Result of stopping a download."""

    stopped: Annotated[bool, Meta(description="whether a download was running")]
