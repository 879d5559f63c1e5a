"""A local web server that acts as Hugging Face and a package index, with simulated faults."""

import io
import json
import threading
import zipfile
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class SourceServer:
    """Serves `files` by path; `cut` paths end early once, `status` and `custom` paths respond as set."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.cut: dict[str, int] = {}
        self.status: dict[str, int] = {}
        self.custom: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.pause = 0.0
        self.hold = threading.Event()
        self.hold.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None: ...

            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_GET(self) -> None:
                self.answer(body=True)

            def answer(self, *, body: bool) -> None:
                path = self.path.partition("?")[0]
                outer.requests.append((self.command, path, dict(self.headers)))
                if path in outer.custom:
                    outer.custom[path](self)
                    return
                data = outer.files.get(path)
                status = outer.status.get(path)
                if data is None or status:
                    self.send_error(status or 404)
                    return
                start = 0
                wanted = self.headers.get("Range", "")
                if wanted.startswith("bytes="):
                    start = int(wanted[6:].split("-")[0])
                if start and start >= len(data):
                    self.send_error(416)
                    return
                self.send_response(206 if start else 200)
                self.send_header("ETag", '"v1"')
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
                for name, value in outer.headers.get(path, {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data) - start))
                self.end_headers()
                if not body:
                    return
                end = outer.cut.pop(path, len(data))
                for at in range(start, end, 65536):
                    outer.hold.wait(30)
                    self.wfile.write(data[at : min(end, at + 65536)])
                if end < len(data):
                    self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()

    @staticmethod
    def plain(handler: BaseHTTPRequestHandler, data: bytes) -> None:
        """Send the whole file."""
        handler.send_response(200)
        handler.send_header("ETag", '"v1"')
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        with suppress(OSError):
            handler.wfile.write(data)

    def says(self, path: str, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        """Let a path send exactly this response."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                handler.send_header(name, value)
            handler.end_headers()
            with suppress(OSError):
                handler.wfile.write(body)

        self.custom[path] = answer

    def gets(self, path: str) -> list[dict[str, str]]:
        return [headers for method, where, headers in self.requests if method == "GET" and where == path]

    def add_wheel(self, package: str, version: str, members: dict[str, bytes]) -> str:
        """Serve a wheel and its index page."""
        name = f"{package.replace('-', '_')}-{version}-py3-none-any.whl"
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, data in members.items():
                archive.writestr(member, data)
        self.files[f"/files/{name}"] = buffer.getvalue()
        page = {"files": [{"filename": name, "url": f"{self.url}/files/{name}"}]}
        self.files[f"/simple/{package}/"] = json.dumps(page).encode()
        self.headers[f"/simple/{package}/"] = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
        return f"/files/{name}"
