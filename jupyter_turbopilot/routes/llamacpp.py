"""llama.cpp's server's protocol, as llama.vim, llama.vscode and many others speak it."""

from __future__ import annotations

import secrets
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from jupyter_server.auth.decorator import authorized
from msgspec import Meta
from tornado import web

from jupyter_turbopilot.engine.generation import SAMPLERS, Sampling
from jupyter_turbopilot.engine.worker import not_ready
from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.routes.base import JobRoute, Route
from jupyter_turbopilot.routes.saying import Saying, placed, probabilities, word
from jupyter_turbopilot.text import Stop, Text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.engine.worker import State
    from jupyter_turbopilot.reply import Item, Reply

MAX_PREDICT = 1 << 16
TokenId = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Milliseconds = Annotated[int, Meta(ge=0, le=3_600_000)]
_SAMPLER_LETTERS = {"k": "top_k", "y": "typ_p", "p": "top_p", "m": "min_p", "t": "temperature", "i": "infill"}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What `/completion` and `/infill` have in common; fields that are not listed are ignored."""

    n_predict: Annotated[int, Meta(ge=-2, le=MAX_PREDICT)] = -1  # 0: read the prompt, write nothing
    n_indent: Annotated[int, Meta(ge=0, le=4096)] = 0
    temperature: Annotated[float, Meta(le=100.0)] = 0.8
    top_k: Annotated[int, Meta(le=1 << 20)] = 40
    top_p: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.95
    min_p: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.05
    typical_p: Annotated[float, Meta(ge=0.0, le=1.0)] = 1.0
    repeat_penalty: Annotated[float, Meta(gt=0.0, le=100.0)] = 1.0
    repeat_last_n: Annotated[int, Meta(ge=-1, le=1 << 20)] = 64
    presence_penalty: Annotated[float, Meta(ge=-100.0, le=100.0)] = 0.0
    frequency_penalty: Annotated[float, Meta(ge=-100.0, le=100.0)] = 0.0
    samplers: str | Annotated[list[str], Meta(max_length=32)] | None = None
    grammar: Annotated[str, Meta(max_length=65536)] = ""
    logit_bias: list[Any] | dict[str, Any] = []
    ignore_eos: bool = False
    seed: int = -1
    stop: Stop | Annotated[list[Stop], Meta(max_length=64)] = []
    stream: bool = False
    n_probs: Annotated[int, Meta(ge=0, le=100)] = 0
    t_max_prompt_ms: Milliseconds = 0
    t_max_predict_ms: Milliseconds = 0
    cache_prompt: bool = True
    id_slot: int = -1
    response_fields: Annotated[list[str], Meta(max_length=64)] = []

    def sampling(self) -> Sampling:
        """Return how to choose tokens."""
        names = self.samplers
        if isinstance(names, str):
            names = [_SAMPLER_LETTERS.get(letter, letter) for letter in names]
        return Sampling(
            max_tokens=self.n_predict,
            temperature=max(0.0, self.temperature),
            top_k=max(0, self.top_k),
            top_p=self.top_p,
            min_p=self.min_p,
            typical_p=self.typical_p,
            repeat_penalty=self.repeat_penalty,
            penalty_last_n=self.repeat_last_n,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            samplers=SAMPLERS if names is None else tuple(names),
            grammar=self.grammar,
            logit_bias=self._biases(),
            ignore_end=self.ignore_eos,
            seed=secrets.randbits(31) if self.seed < 0 else self.seed & 0xFFFFFFFF,
            top=self.n_probs,
        )

    def _biases(self) -> tuple[tuple[int, float], ...]:
        pairs = list(self.logit_bias.items()) if isinstance(self.logit_bias, dict) else self.logit_bias
        try:
            # `false` means never.
            return tuple((int(name), -1e9 if bias is False else float(bias)) for name, bias in pairs)
        except (TypeError, ValueError, OverflowError):
            raise BadRequestError("It is a list of [token id, bias].", field="logit_bias") from None

    def more(self) -> dict[str, Any]:
        """Return what else a text takes from them."""
        return {
            "sampling": self.sampling(),
            "stop": (self.stop,) if isinstance(self.stop, str) else tuple(self.stop),
            "indent": self.n_indent,
            "stream": self.stream,
            # Editors that read ahead say 1 ms and mean that they do not wait for it.
            "prompt_seconds": self.t_max_prompt_ms / 1000 if self.n_predict else 0.0,
            "seconds": self.t_max_predict_ms / 1000,
            "cut": True,
            "ahead": self.n_predict == 0,
        }


class CompletionBody(Options, frozen=True, kw_only=True):
    """`POST completion`: a text, token ids, or both in turns."""

    prompt: str | list[str | TokenId]

    def text(self) -> Text:
        """Return what is to be written."""
        prompt = self.prompt if isinstance(self.prompt, str) else tuple(self.prompt)
        return Text(prompt=prompt, **self.more())


class Extra(msgspec.Struct, frozen=True, kw_only=True):
    """Another file."""

    text: str
    filename: Annotated[str, Meta(max_length=4096)] = "tmp"


class InfillBody(Options, frozen=True, kw_only=True):
    """`POST infill`."""

    input_prefix: str
    input_suffix: str
    input_extra: Annotated[list[Extra], Meta(max_length=256)] = []
    prompt: str = ""

    def text(self) -> Text:
        """Return what is to be written."""
        others = tuple((extra.filename, extra.text) for extra in self.input_extra)
        return Text(
            prompt=self.input_prefix,
            suffix=self.input_suffix,
            typed=self.prompt,
            others=others,
            window=True,
            **self.more(),
        )


class EngineRoute(JobRoute):
    """What is asked of the model that is loaded."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Ask."""
        await self.guard(self._ask())

    @abstractmethod
    async def _ask(self) -> None:
        """Read the body and answer."""

    def _engine(self) -> Engine:
        engine = self.pilot.worker.engine
        if engine is None:
            raise not_ready(self.pilot.worker.state)
        return engine


class WritingRoute(EngineRoute):
    """What `completion` and `infill` have in common."""

    accepts: type[CompletionBody | InfillBody]

    async def _ask(self) -> None:
        body = self.body(self.accepts)
        if body.stream:
            await self.events(self._pieces(body))
            return
        text = body.text()
        # What is only read ahead may have to yield; there is nothing to miss in its answer.
        reply = await (self.last(text) if text.ahead else self.whole(text))
        self.answer(self._last(body, reply, ""))

    async def _pieces(self, body: CompletionBody | InfillBody) -> AsyncIterator[dict[str, Any]]:
        saying, said = Saying(), ""
        async for reply in self.replies(body.text()):
            if reply.error:
                raise reply.error
            if reply.done:
                yield self._last(body, reply, said)
                return
            for piece in saying.pieces(reply):
                said += piece.text
                event = {"index": 0, "content": piece.text, "tokens": [], "stop": False, "id_slot": 0}
                if body.n_probs:
                    told = probabilities(piece.tokens, self._engine().piece)
                    event |= {"completion_probabilities": told}
                yield event | {
                    "tokens_predicted": len(piece.item.tokens),
                    "tokens_evaluated": reply.timings.prompt_tokens,
                }

    def _last(self, body: CompletionBody | InfillBody, reply: Reply, said: str) -> dict[str, Any]:
        """Word the last reply."""
        found = last_words(reply, said)
        if body.n_probs and reply.items and not body.stream:
            tokens = placed(reply.items[0])
            found["completion_probabilities"] = probabilities(tokens, self._engine().piece)
        found["generation_settings"] = {
            name: value
            for name, value in msgspec.to_builtins(body).items()
            if name in Options.__struct_fields__ and name != "response_fields"
        }
        return only(found, body.response_fields)


def last_words(reply: Reply, said: str) -> dict[str, Any]:
    """Word the end of an answer."""
    item = reply.items[0] if reply.items else None
    timings = reply.timings
    evaluated = timings.prompt_tokens - timings.cached_tokens
    wrote = timings.predicted_tokens
    return {
        "index": 0,
        "content": item.text[len(said) :] if item else "",
        "tokens": [],
        "id_slot": 0,
        "stop": True,
        "model": reply.model,
        "tokens_predicted": wrote,
        "tokens_evaluated": timings.prompt_tokens,
        "tokens_cached": timings.prompt_tokens + max(0, wrote - 1),  # the last has not been read
        "truncated": False,
        "has_new_line": bool(item and "\n" in item.text),
        "stop_type": _stop_type(item),
        "stopping_word": item.stopped_by if item else "",
        "timings": {
            "cache_n": timings.cached_tokens,
            "prompt_n": evaluated,
            "prompt_ms": timings.prompt_ms,
            "prompt_per_token_ms": timings.prompt_ms / max(1, evaluated),
            "prompt_per_second": 1000 * evaluated / max(1e-3, timings.prompt_ms),
            "predicted_n": wrote,
            "predicted_ms": timings.predicted_ms,
            "predicted_per_token_ms": timings.predicted_ms / max(1, wrote),
            "predicted_per_second": 1000 * wrote / max(1e-3, timings.predicted_ms),
            "draft_n": timings.drafted_tokens,
            "draft_n_accepted": timings.accepted_tokens,
        },
    }


def _stop_type(item: Item | None) -> str:
    if item is None:
        return "limit"
    if item.stopped_by:
        return "word"
    return "eos" if item.finish_reason == "stop" else "limit"


def only(body: dict[str, Any], fields: list[str]) -> dict[str, Any]:
    """Keep the fields that were asked for, under the names given; `a/b` is a field of a field."""
    if not fields:
        return body
    found: dict[str, Any] = {}
    for name in fields:
        value: Any = body
        for key in name.split("/"):
            value = value.get(key, msgspec.UNSET) if isinstance(value, dict) else msgspec.UNSET
        if value is not msgspec.UNSET:
            found[name] = value
    return found


class CompletionRoute(WritingRoute):
    """`POST completion`."""

    accepts = CompletionBody


class InfillRoute(WritingRoute):
    """`POST infill`."""

    accepts = InfillBody


class TokenizeBody(msgspec.Struct, frozen=True):
    """`POST tokenize`."""

    content: str
    with_pieces: bool = False


class DetokenizeBody(msgspec.Struct, frozen=True):
    """`POST detokenize`."""

    tokens: Annotated[list[TokenId], Meta(max_length=1 << 18)]


class TokenizeRoute(EngineRoute):
    """`POST tokenize`."""

    accepts = TokenizeBody

    async def _ask(self) -> None:
        body = self.body(TokenizeBody)
        engine = self._engine()
        tokens: list[Any] = engine.tokenize(body.content)
        if body.with_pieces:
            tokens = [{"id": token, "piece": _piece(engine.piece(token))} for token in tokens]
        self.answer({"tokens": tokens})


class DetokenizeRoute(EngineRoute):
    """`POST detokenize`."""

    accepts = DetokenizeBody

    async def _ask(self) -> None:
        engine = self._engine()
        try:
            data = b"".join(engine.piece(token) for token in self.body(DetokenizeBody).tokens)
        except IndexError:
            raise BadRequestError("There is no such token.", field="tokens") from None
        self.answer({"content": data.decode("utf-8", "replace")})


def _piece(data: bytes) -> str | list[int]:
    text = word(data)
    return list(data) if text.startswith("bytes:") else text


class StateRoute(Route):
    """What is told of the model that is loaded."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Tell."""
        engine = self.pilot.worker.engine
        self.answer(self._told(self.pilot.worker.state, engine.context_size if engine else 0))

    @abstractmethod
    def _told(self, state: State, size: int) -> Any:
        """Word it."""


class PropsRoute(StateRoute):
    """`GET props`: the model and its defaults; no path of this machine."""

    def _told(self, state: State, size: int) -> dict[str, Any]:
        return {
            "model_path": state.model,
            "model_alias": state.model,
            "total_slots": 1,
            "default_generation_settings": {"n_ctx": size, "params": {"n_predict": -1}},
            "modalities": {"vision": False, "audio": False},
            "is_sleeping": state.phase == "asleep",
        }


class SlotsRoute(StateRoute):
    """`GET slots`: who is being served, never with what."""

    def _told(self, state: State, size: int) -> list[dict[str, Any]]:
        return [{"id": 0, "n_ctx": size, "is_processing": state.phase == "thinking"}]
