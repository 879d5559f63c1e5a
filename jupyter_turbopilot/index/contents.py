"""Notebooks and files of a Jupyter contents manager, wherever it stores them."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import time
from collections import deque
from concurrent.futures import CancelledError
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from jupyter_core.utils import ensure_async
from tornado.web import HTTPError

from jupyter_turbopilot.index.base import FileInfo
from jupyter_turbopilot.index.excluded import (
    DEEPEST,
    ENVIRONMENT,
    MOST_BYTES,
    NOTEBOOK,
    is_wanted,
    is_wanted_folder,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

MOST_FOLDERS = 5000  # listed in one walk
_ANSWER = 60.0  # seconds until a call of the manager times out
_SHARE = 4  # a manager that blocks the event loop gets at most this fraction (1/4) of the time
# Credentials do not identify a source: they may change at each start.
_SECRET = re.compile(r"pass|secret|token|credential|signature|(?:api|access|private)_?key", re.IGNORECASE)


class Contents:
    """Files of a contents manager. Its calls run on the server's event loop, one at a time.

    A manager that is not asynchronous blocks the loop, so each call is followed by a pause.
    """

    reads_from_disk = False

    def __init__(self, manager: Any, loop: asyncio.AbstractEventLoop) -> None:
        kind = f"{type(manager).__module__}.{type(manager).__qualname__}"
        self.root = str(getattr(manager, "root_dir", "")) or kind
        # The configuration distinguishes managers of one class: their bucket, database or user.
        self.identity = f"{kind} {self.root} {_plain(manager.trait_values(config=True))!r}"
        self._manager = manager
        self._loop = loop

    def walk(self, unseen: list[str]) -> Iterator[FileInfo]:
        waiting, left = deque([""]), MOST_FOLDERS
        while waiting:
            above = waiting.popleft()
            left -= 1
            if left < 0:
                unseen += [above, *waiting]
                return
            try:
                model = self._get(above, type="directory", content=True)
            except OSError:  # continue with the other folders
                unseen.append(above)
                continue
            listed = model.get("content") if model else None
            children = [child for child in listed or () if isinstance(child, dict)]
            if above and any(child.get("name") in ENVIRONMENT for child in children):
                continue
            for child in children:
                path, name = str(child.get("path", "")).strip("/"), str(child.get("name", ""))
                if child.get("type") == "directory":
                    if is_wanted_folder(name) and path.count("/") < DEEPEST:
                        waiting.append(path)
                elif is_wanted(path):
                    yield _file_info(path, child)

    def look(self, path: str) -> FileInfo | None:
        """Return a file's metadata; raise IsADirectoryError for a folder."""
        model = self._get(path, content=False)
        if model and model.get("type") == "directory":
            raise IsADirectoryError(path)
        return _file_info(path, model) if model and is_wanted(path) else None

    def read(self, path: str) -> str:
        """Return the text of a file; a notebook stored in another format is converted to JSON."""
        model = self._get(path, type="file", format="text", content=True)
        content = model.get("content") if model else None
        if content is None and path.lower().endswith(NOTEBOOK):
            model = self._get(path, type="notebook", content=True)
            content = model.get("content") if model else None
        if content is None:
            return ""
        text = content if isinstance(content, str) else json.dumps(content, default=str)
        return text if len(text) <= MOST_BYTES else ""

    def there(self, paths: Iterable[str], *, otherwise: bool) -> AbstractSet[str]:
        """Return all or none of them: a contents manager cannot answer in a few milliseconds."""
        return set(paths) if otherwise else set()

    def _get(self, path: str, **wanted: object) -> dict[str, Any] | None:
        """Call the manager; None if there is no such file, OSError if the call fails."""
        if self._loop.is_closed():
            raise OSError("the server has stopped")
        begun = time.monotonic()
        asked = asyncio.run_coroutine_threadsafe(contents_of(self._manager, path, **wanted), self._loop)
        try:
            model = asked.result(_ANSWER)
        except HTTPError as error:
            if _is_not_found(error.status_code, wanted):
                return None
            raise OSError("the contents manager does not answer") from error
        except (TimeoutError, CancelledError) as error:
            asked.cancel()
            raise OSError("the contents manager does not answer") from error
        finally:
            if not inspect.iscoroutinefunction(self._manager.get):
                time.sleep(min(_ANSWER, (_SHARE - 1) * (time.monotonic() - begun)))
        return model if isinstance(model, dict) else None


async def contents_of(manager: Any, path: str, **wanted: object) -> Any:
    """Return a contents manager's model; OSError or HTTPError if that fails."""
    try:
        return await ensure_async(manager.get(path, **wanted))
    except (HTTPError, OSError):
        raise
    except Exception as error:  # third-party managers may raise anything
        raise OSError(f"the contents manager failed ({type(error).__name__})") from error


def _is_not_found(status: int, wanted: dict[str, object]) -> bool:
    """Return whether a status means that the file does not exist or is of another type."""
    return status == HTTPStatus.NOT_FOUND or (status == HTTPStatus.BAD_REQUEST and "type" in wanted)


def _file_info(path: str, model: dict[str, Any]) -> FileInfo:
    size, modified = model.get("size"), model.get("last_modified")
    try:
        when = modified.timestamp() if isinstance(modified, datetime) else 0.0
    except (ValueError, OverflowError, OSError):  # the date is out of range
        when = 0.0
    return FileInfo(path, f"{modified} {size}", when, size if isinstance(size, int) else None)


def _plain(value: object) -> object:
    """Return a stable representation of a setting."""
    if isinstance(value, dict):
        return sorted(
            (str(name), _plain(one)) for name, one in value.items() if not _SECRET.search(str(name))
        )
    if isinstance(value, list | tuple | set | frozenset):
        return sorted((_plain(one) for one in value), key=repr)
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    return value if isinstance(value, str | int | float | None) else type(value).__qualname__
