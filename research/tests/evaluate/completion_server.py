"""A fake server that completes code by one of three protocols, streaming character by character."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FRAMES: dict[str, Callable[[str], str]] = {
    "/infill": lambda text: f"data: {json.dumps({'content': text})}\n\n",
    "/v1/completions": lambda text: f"data: {json.dumps({'choices': [{'text': text}]})}\n\n",
    "/api/generate": lambda text: json.dumps({"response": text, "done": False}) + "\n",
}


class CompletionServer(ThreadingHTTPServer):
    """Answers with `text`; then it waits for `more`, so that a client that reads on would block."""

    daemon_threads = True

    def __init__(self, text: str, status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.text, self.status = text, status
        self.asked: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.encodings: set[str | None] = set()  # that clients accept
        self.compressed = False
        self.more = threading.Event()
        self.more.set()
        self.left = threading.Event()  # a client closed its connection before the end

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: CompletionServer

    def do_POST(self) -> None:
        server = self.server
        server.keys.add(self.headers["Authorization"])
        server.encodings.add(self.headers["Accept-Encoding"])
        server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(server.status)
        if server.compressed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        try:
            if server.compressed:
                self.wfile.write(gzip.compress(FRAMES[self.path](server.text).encode()))
                return
            for character in server.text:
                self.wfile.write(FRAMES[self.path.partition("?")[0]](character).encode())
            while not server.more.wait(0.02):
                self.wfile.write(FRAMES[self.path.partition("?")[0]]("").encode())
        except OSError:
            server.left.set()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def completing(text: str, status: int = 200) -> Iterator[CompletionServer]:
    """Run a server."""
    server = CompletionServer(text, status)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.more.set()
        server.shutdown()
        server.server_close()
        thread.join()
