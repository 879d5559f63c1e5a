"""Serve a folder of static files on this machine, with --headers as a cross-origin isolated site."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}


class Handler(SimpleHTTPRequestHandler):
    """Sends the content types that modules and WebAssembly need, independently of the system's tables."""

    extensions_map = {  # noqa: RUF012 - as the base class has it
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".json": "application/json",
    }

    def __init__(self, *args: object, headers_too: dict[str, str], **kwargs: object) -> None:
        self._headers_too = headers_too
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    def end_headers(self) -> None:
        """Add the headers to each response."""
        for name, value in {"Cache-Control": "no-cache", **self._headers_too}.items():
            self.send_header(name, value)
        super().end_headers()


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("folder", type=Path, nargs="?")
    what.add_argument("--check", action="store_true", help="only check that the port is free")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--headers", action="store_true", help="send COOP and COEP")
    chosen = parser.parse_args()
    if not (chosen.check or chosen.folder.is_dir()):
        sys.exit(f"There is no folder {chosen.folder}. Build the site first.")
    handler = partial(Handler, directory=str(chosen.folder), headers_too=ISOLATED if chosen.headers else {})
    try:
        server = ThreadingHTTPServer(("127.0.0.1", chosen.port), handler)
    except (OSError, OverflowError) as error:
        sys.exit(
            f"Port {chosen.port} cannot be used ({getattr(error, 'strerror', error)}). "
            f'Choose another one with --port, or with make as ARGS="--port {chosen.port + 1}".'
        )
    with server:
        if chosen.check:
            return
        print(
            f"{chosen.folder} is served at http://127.0.0.1:{server.server_port}/ (Ctrl+C ends it)",
            flush=True,
        )
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
