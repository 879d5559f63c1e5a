"""A third-party contents manager for tests of the index."""

from __future__ import annotations

import asyncio
from typing import Any

from tornado.web import HTTPError

from .notebooks import notebook


class Manager:
    """Files in a remote storage, which may fail."""

    root_dir = "elsewhere"

    def __init__(self, texts: dict[str, str] | None = None) -> None:
        two = {"a.ipynb": notebook("frobnicate_it(1)"), "d/b.ipynb": notebook("settle_it(2)")}
        self.texts = two if texts is None else texts
        self.fails: int = 0  # the status of failures
        self.failing = ""  # the folder in which calls fail
        self.slow = 0.0
        self.asked: list[str] = []

    def trait_values(self, **_: Any) -> dict[str, Any]:
        return {}

    async def get(self, path: str, content: bool = True, **_: Any) -> dict[str, Any]:
        self.asked.append(path)
        await asyncio.sleep(self.slow)
        if self.fails and path.startswith(self.failing):
            raise HTTPError(self.fails)
        if path in self.texts:
            return self._file(path) | {"content": content and self.texts[path]}
        start = f"{path}/" if path else ""
        below = sorted(name.removeprefix(start) for name in self.texts if name.startswith(start))
        if path and not below:
            raise HTTPError(404)
        folders = sorted({name.partition("/")[0] for name in below if "/" in name})
        models = [{"type": "directory", "path": start + name, "name": name} for name in folders]
        files = [self._file(start + name) for name in below if "/" not in name]
        return {"type": "directory", "path": path, "content": [*files, *models]}

    def _file(self, path: str) -> dict[str, Any]:
        return {"type": "file", "path": path, "name": path.rpartition("/")[2], "size": len(self.texts[path])}
