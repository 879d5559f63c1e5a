"""Sources of completions: the engine in this process, or a server at a URL."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self
from urllib.parse import urlsplit

import httpx

from jupyter_turbopilot.analysis.kernel_context import NONE
from jupyter_turbopilot.completer.plan import Admission
from jupyter_turbopilot.completer.reply_iterators import Replies
from jupyter_turbopilot.models.connection import IDENTITY
from jupyter_turbopilot.protocol.errors import BadRequestError, TurbopilotError
from jupyter_turbopilot.protocol.reply import Item, Reply
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.util.threads import start_thread
from turbopilot_research.evaluate.scoring import head_of
from turbopilot_research.evaluate.traces import Keystroke

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from jupyter_turbopilot.analysis.kernel_context import KernelContext
    from jupyter_turbopilot.completer.reply_iterators import Listener
    from jupyter_turbopilot.terminal.in_process import InProcess

MAX_TOKENS = 64  # of an answer; it is cut at the end of its first line
API_KEY = "TURBOPILOT_SOURCE_API_KEY"  # the environment variable with the server's key
TIMEOUT = 120.0  # seconds of a request: a server may load its model for the first one
_MAX_ANSWER = 2**18  # bytes: some servers repeat the prompt at the end
_FIRST = Completion(cells=[Cell(source="import numpy as np\nx = np.")], offset=26, trigger="automatic")


class Usage(NamedTuple):
    """What a source has used so far, as far as it is known."""

    continued: int = 0  # requests that continued a running generation
    ended: int = 0  # requests that restarted one that agreed with them
    cpu: float | None = None  # seconds, if this process computes everything


class Source(Protocol):
    """A source of completions, as an editor uses it."""

    def submit(self, request: Completion, listener: Listener, kernel_context: KernelContext = NONE) -> None:
        """Start a request. An automatic one replaces the previous one."""

    def last(self, request: Completion, kernel_context: KernelContext = NONE) -> Reply:
        """Return the complete reply."""

    def usage(self) -> Usage:
        """Return the usage so far."""


class OwnSource:
    """The engine in this process. Callers share no cached prompts."""

    def __init__(self, local: InProcess, caller: str = "") -> None:
        self.local, self._caller = local, caller

    def submit(self, request: Completion, listener: Listener, kernel_context: KernelContext = NONE) -> None:
        admission = Admission(caller=self._caller, tenant=self._caller, kernel_context=kernel_context)
        self.local.pilot.completer.submit(request, listener, admission)

    def last(self, request: Completion, kernel_context: KernelContext = NONE) -> Reply:
        return self.local.last(request, kernel_context)

    def usage(self) -> Usage:
        pilot = self.local.pilot
        engine, counters = pilot.worker.engine, pilot.completer.counters
        is_here = not (engine and engine.capabilities.remote)
        return Usage(counters["continued"], counters["ended"], time.process_time() if is_here else None)


@dataclass(frozen=True)
class Dialect:
    """The body of a request, and the text in a part of its answer."""

    body: Callable[[Keystroke, str], dict[str, Any]]  # of a position, and the prompt of a template
    piece: Callable[[dict[str, Any]], str]
    takes_prompt: bool = True


def _infill(at: Keystroke, _: str) -> dict[str, Any]:
    return {
        "input_prefix": at.prefix,
        "input_suffix": at.suffix,
        "input_extra": [{"filename": "below", "text": at.below}] if at.below else [],
        "prompt": "",
        "n_predict": MAX_TOKENS,
        "temperature": 0.0,
        "top_k": 1,
        "samplers": ["top_k"],
        "cache_prompt": True,
    }


def _completions(at: Keystroke, prompt: str) -> dict[str, Any]:
    text = {"prompt": prompt} if prompt else {"prompt": at.prefix, "suffix": at.suffix}
    return text | {"max_tokens": MAX_TOKENS, "temperature": 0.0}


def _generate(at: Keystroke, prompt: str) -> dict[str, Any]:
    text = {"prompt": prompt, "raw": True} if prompt else {"prompt": at.prefix, "suffix": at.suffix}
    return text | {"options": {"num_predict": MAX_TOKENS, "temperature": 0.0}}


DIALECTS = {
    "/infill": Dialect(_infill, lambda part: part["content"], takes_prompt=False),
    "/completions": Dialect(_completions, lambda part: "".join(c["text"] for c in part["choices"][:1])),
    "/api/generate": Dialect(_generate, lambda part: part["response"]),
}  # by the end of the URL's path


def public(url: str) -> str:
    """Return a URL without its user name, password, query and fragment."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


class UrlSource:
    """A server that completes code. Use it as a context manager.

    Each request closes the connection of the previous one, as editors do. The suggestion is the first line
    that is not blank, once it is complete.
    """

    def __init__(self, url: str, model: str = "", template: str = "", key: str = "") -> None:
        try:
            self.name = public(url)
        except ValueError:
            raise BadRequestError("--source is not a valid URL.") from None
        found = [dialect for end, dialect in DIALECTS.items() if self.name.endswith(end)]
        if not found or not url.startswith(("http://", "https://")):
            raise BadRequestError(f"{self.name} is not a URL whose path ends with {', '.join(DIALECTS)}.")
        if template and not found[0].takes_prompt:
            raise BadRequestError(f"{self.name} builds its own prompt. Omit --template.")
        self._url, self._dialect, self._model, self._template = url, found[0], model, template
        self._headers = IDENTITY | ({"Authorization": f"Bearer {key}"} if key else {})
        self._running: Future[None] | None = None

    def __enter__(self) -> Self:
        """Connect; raise an error if the server does not complete code."""
        self._loop = asyncio.new_event_loop()
        no_timeout = httpx.Timeout(None)  # `_first_line` limits the whole request
        self._client = httpx.AsyncClient(timeout=no_timeout, trust_env=False, headers=self._headers)
        self._thread = start_thread("turbopilot-source", self._loop.run_forever)
        try:
            self.last(_FIRST)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._running:
            self._running.cancel()
        asyncio.run_coroutine_threadsafe(self._client.aclose(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread:
            self._thread.join()
        self._loop.close()

    def submit(self, request: Completion, listener: Listener, kernel_context: KernelContext = NONE) -> None:  # noqa: ARG002
        if request.trigger == "prefetch":  # these servers have no such requests
            listener(Reply("", done=True))
            return
        if self._running:
            self._running.cancel()
        self._running = asyncio.run_coroutine_threadsafe(self._answer(request, listener), self._loop)

    def last(self, request: Completion, kernel_context: KernelContext = NONE) -> Reply:  # noqa: ARG002
        replies = Replies()
        self.submit(request, replies.listen)
        reply = replies.last()
        if reply.error:
            raise reply.error
        return reply

    def usage(self) -> Usage:
        return Usage()

    async def _answer(self, request: Completion, listener: Listener) -> None:
        try:
            text = head_of(await self._first_line(request))
            reply = Reply("", items=(Item(text, 1.0, "stop"),) if text else (), done=True)
        except TurbopilotError as error:
            reply = Reply("", done=True, error=error)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            failed = TurbopilotError(f"{self.name} cannot be reached ({type(error).__name__}).")
            reply = Reply("", done=True, error=failed)
        except Exception as error:  # noqa: BLE001 - without a reply, the evaluation would wait forever
            reply = Reply("", done=True, error=TurbopilotError(f"{self.name}: {error}"))
        listener(reply)

    async def _first_line(self, request: Completion) -> str:
        """Return the answer up to the end of its first line."""
        sources, types = zip(*((cell.source, cell.type) for cell in request.cells), strict=True)
        at = Keystroke(sources, types, request.active, request.offset, "", 0)
        parts = {"{prefix}": at.prefix, "{suffix}": at.suffix}
        prompt = re.sub("|".join(map(re.escape, parts)), lambda found: parts[found[0]], self._template)
        body = {"model": self._model, "stream": True} | self._dialect.body(at, prompt)
        text, rest = "", b""
        async with asyncio.timeout(TIMEOUT), self._client.stream("POST", self._url, json=body) as answer:
            if not answer.is_success:
                raise TurbopilotError(f"{self.name} answered {answer.status_code}.")
            if answer.headers.get("content-encoding", "identity") != "identity":  # it may be huge
                raise TurbopilotError(f"{self.name} sent a compressed answer.")
            async for chunk in answer.aiter_raw():
                *lines, rest = (rest + chunk).split(b"\n")
                text += "".join(map(self._piece, lines))
                if "\n" in text.lstrip():
                    return text
                if answer.num_bytes_downloaded > _MAX_ANSWER:
                    raise TurbopilotError(f"{self.name} sent an answer of more than {_MAX_ANSWER} bytes.")
        return text + self._piece(rest)

    def _piece(self, line: bytes) -> str:
        """Return the text in a line of the answer: an event's data, or a JSON object."""
        data = line.removeprefix(b"data:").strip()
        if not data or data == b"[DONE]" or data.startswith((b":", b"event:", b"id:", b"retry:")):
            return ""
        try:
            return str(self._dialect.piece(json.loads(data)) or "")
        except (ValueError, LookupError, TypeError):
            raise TurbopilotError(f"{self.name} sent no completion: {data[:200]!r}.") from None
