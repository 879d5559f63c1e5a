"""OpenAI's format of completions. Independent of the web server."""

from __future__ import annotations

import secrets
import time
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_turbopilot.plugins.protocols.deltas import Delta, log_probability, placed_tokens, token_text
from jupyter_turbopilot.protocol.reply import compact

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.plugins.protocols.openai_completions import CompletionsBody
    from jupyter_turbopilot.protocol.reply import Reply


@cache
def _fingerprint(engine: str) -> str:
    """Return OpenAI's `system_fingerprint`: the version and the engine."""
    return f"jupyter-turbopilot-{version('jupyter-turbopilot')}{engine and ':'}{engine}"


class CompletionFormat:
    """One response in OpenAI's format."""

    def __init__(self, body: CompletionsBody, piece: Callable[[int], bytes], engine: str = "") -> None:
        """`engine`: the digest of the engine's identity."""
        self.body = body
        self._piece = piece
        self._prompts = body.prompts()
        self._n = body.n or 1
        self._head = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "system_fingerprint": _fingerprint(engine),
        }
        self._echoed: set[int] = set()

    @property
    def include_hidden(self) -> bool:
        """Return whether to include tokens without visible text: clients that request ids decode them."""
        return self.body.return_tokens_as_token_ids

    def whole(self, replies: list[Reply]) -> bytes:
        """Encode the response one choice at a time: with logprobs they may be large."""
        choices = []
        for number, reply in enumerate(replies):
            for item in reply.items:
                delta = Delta(
                    item, item.text, tuple(placed_tokens(item, include_hidden=self.include_hidden)), last=True
                )
                choices.append(msgspec.Raw(compact(self._choice(number, delta))))
        model = replies[0].model if replies else ""
        return compact(self._head | {"model": model, "choices": choices, "usage": _usage(replies)})

    def chunk(self, number: int, reply: Reply, delta: Delta) -> dict[str, Any]:
        """Return the event for a delta."""
        usage: dict[str, Any] = {"usage": None} if self.body.stream_options else {}
        if self.body.turbopilot and not self._echoed:
            usage = {"usage": _usage([reply])}  # the client may disconnect before the end
        return self._head | {"model": reply.model, "choices": [self._choice(number, delta)]} | usage

    def usage_chunk(self, replies: list[Reply]) -> dict[str, Any]:
        """Return the event with the usage."""
        return self._head | {"model": replies[0].model, "choices": [], "usage": _usage(replies)}

    def _choice(self, number: int, delta: Delta) -> dict[str, Any]:
        index = number * self._n + delta.item.index
        echo, ids = self._echo(number) if self.body.echo else ("", ())
        text = delta.text if index in self._echoed else echo + delta.text
        logprobs = None
        if self.body.logprobs is not None:
            logprobs = self._logprobs(delta, () if index in self._echoed else ids, len(echo))
        self._echoed.add(index)
        reason = {"streaming": None, "stop": "stop"}.get(delta.item.finish_reason, "length")
        return {
            "text": text,
            "index": index,
            "logprobs": logprobs,
            "finish_reason": reason if delta.last else None,
        }

    def _echo(self, number: int) -> tuple[str, tuple[int, ...]]:
        prompt = self._prompts[number]
        if isinstance(prompt, str):
            return prompt, ()
        return b"".join(self._piece(token) for token in prompt).decode("utf-8", "replace"), prompt

    def _name(self, token: int, text: str) -> str:
        """Return the name of a token in the response: its text, or its id."""
        return f"token_id:{token}" if self.body.return_tokens_as_token_ids else text

    def _logprobs(self, delta: Delta, prompt: tuple[int, ...], start: int) -> dict[str, Any]:
        """Return OpenAI's `logprobs`; tokens of an echoed prompt have none."""
        columns: dict[str, list[Any]] = {
            "tokens": [],
            "token_logprobs": [],
            "top_logprobs": [],
            "text_offset": [],
        }

        def add(*values: Any) -> None:
            for name, value in zip(columns, values, strict=True):
                columns[name].append(value)

        at = 0
        for token in prompt:
            text = self._piece(token).decode("utf-8", "replace")
            add(self._name(token, text), None, None, at)
            at += len(text)
        for placed in delta.tokens:
            name = self._name(placed.token.id, token_text(placed.token.data))
            chance = log_probability(placed.token)
            top = {
                self._name(token, token_text(self._piece(token))): value for token, value in placed.token.top
            }
            # With a prefix constraint, a token's probability among the allowed tokens may exceed the model's.
            add(name, chance, top | {name: top.get(name, chance)} if top else {}, start + placed.offset)
        return columns


def _usage(replies: list[Reply]) -> dict[str, Any]:
    read = sum(reply.timings.prompt_tokens for reply in replies)
    wrote = sum(reply.timings.predicted_tokens for reply in replies)
    return {
        "prompt_tokens": read,
        "completion_tokens": wrote,
        "total_tokens": read + wrote,
        "prompt_tokens_details": {"cached_tokens": sum(reply.timings.cached_tokens for reply in replies)},
    }
