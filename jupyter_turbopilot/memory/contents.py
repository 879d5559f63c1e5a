"""Notebooks and files as a Jupyter server's contents manager has them, wherever it keeps them."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from jupyter_core.utils import ensure_async
from tornado.web import HTTPError

from jupyter_turbopilot.memory.left_out import (
    DEEPEST,
    ENVIRONMENT,
    MOST_BYTES,
    NOTEBOOK,
    is_wanted,
    is_wanted_folder,
)
from jupyter_turbopilot.memory.source import MOST_LOOKED_AT, Looked

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

_ANSWER = 60.0  # seconds that the manager may take
# A manager says so of what is not there, is of another kind, or is not for this person.
_NONE = {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
_SHARE = 4  # of the time, at most one part is spent in a manager that holds up the event loop


class Contents:
    """What a contents manager serves. Its calls run on the server's event loop, one at a time.

    A manager that is not asynchronous holds the loop up meanwhile, so it gets pauses.
    """

    def __init__(self, manager: Any, loop: asyncio.AbstractEventLoop) -> None:
        kind = f"{type(manager).__module__}.{type(manager).__qualname__}"
        self.root = str(getattr(manager, "root_dir", "")) or kind
        # What is configured tells two of a kind apart: one bucket, one database, one user.
        named = sorted(
            (name, value) for name, value in manager.trait_values(config=True).items() if _is_plain(value)
        )
        self.identity = f"{kind} {self.root} {named!r}"
        self._manager = manager
        self._loop = loop

    def walk(self, folder: str = "") -> Iterator[Looked]:
        """Iterate over the files under a folder, those of outer folders first."""
        waiting, left = deque([folder]), MOST_LOOKED_AT
        unseen: OSError | None = None
        while waiting:
            above = waiting.popleft()
            try:
                model = self._get(above, type="directory", content=True)
            except OSError as error:  # the others are looked at all the same
                unseen = error
                continue
            listed = model.get("content") if model else None
            children = [child for child in listed or () if isinstance(child, dict)]
            if above and any(child.get("name") in ENVIRONMENT for child in children):
                continue
            for child in children:
                left -= 1
                if left < 0:
                    return
                path, name = str(child.get("path", "")).strip("/"), str(child.get("name", ""))
                if child.get("type") == "directory":
                    if is_wanted_folder(name) and path.count("/") < DEEPEST:
                        waiting.append(path)
                elif is_wanted(path):
                    yield _looked(path, child)
        if unseen:
            raise unseen

    def look(self, path: str) -> Looked | None:
        """Look at a file."""
        model = self._get(path, content=False) if is_wanted(path) else None
        return _looked(path, model) if model and model.get("type") != "directory" else None

    def stamp(self, path: str) -> str | None:
        """Return when a file was changed, and its size."""
        model = self._get(path, content=False)
        return _looked(path, model).stamp if model else None

    def stamps(self, paths: Collection[str]) -> Iterator[tuple[str, str | None]]:
        """Iterate over files that were looked at before, each with its state; folders are asked for it."""
        there = {one.path: one.stamp for one in self.walk()}
        for path in paths:
            yield path, there.get(path)

    def read(self, path: str) -> str:
        """Return the text of a file; a notebook that is kept as something else becomes one again."""
        model = self._get(path, type="file", format="text", content=True)
        content = model.get("content") if model else None
        if content is None and path.lower().endswith(NOTEBOOK):
            model = self._get(path, type="notebook", content=True)
            content = model.get("content") if model else None
        text = content if isinstance(content, str) else json.dumps(content, default=str)
        return text if len(text) <= MOST_BYTES else ""

    def there(self, paths: Iterable[str], *, otherwise: bool) -> Collection[str]:  # noqa: ARG002 - it has no time
        """Return all of them: a manager tells of what it deletes, and cannot be asked in a moment."""
        return set(paths)

    def _get(self, path: str, **wanted: object) -> dict[str, Any] | None:
        """Ask the manager; None where there is nothing of the kind, OSError where it does not say."""
        if self._loop.is_closed():
            raise OSError("the server has ended")
        begun = time.monotonic()
        asked = asyncio.run_coroutine_threadsafe(self._ask(path, wanted), self._loop)
        try:
            model = asked.result(_ANSWER)
        except Exception as error:  # a manager may be anybody's
            asked.cancel()
            if isinstance(error, HTTPError) and error.status_code in _NONE:
                return None
            raise OSError(f"the contents manager does not answer ({type(error).__name__})") from error
        finally:
            if not asyncio.iscoroutinefunction(self._manager.get):
                time.sleep(min(_ANSWER, (_SHARE - 1) * (time.monotonic() - begun)))
        return model if isinstance(model, dict) else None

    async def _ask(self, path: str, wanted: dict[str, object]) -> Any:
        return await ensure_async(self._manager.get(path, **wanted))


def _looked(path: str, model: dict[str, Any]) -> Looked:
    size, modified = model.get("size"), model.get("last_modified")
    when = modified.timestamp() if isinstance(modified, datetime) else 0.0
    return Looked(path, f"{modified} {size}", when, size if isinstance(size, int) else None)


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float | bool | None)
