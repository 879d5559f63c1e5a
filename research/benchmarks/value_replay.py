"""How often a place of `values.py` gets a suggestion, and whether it is right, from a server with a kernel.

    python research/benchmarks/value_replay.py PLACES.json [--kernel NAME] [--kinds "file" …] [--log FILE]

Each notebook is run cell by cell in its folder. Before a cell with places, the server is asked at each of
them, after 0, 1 and 2 characters of its text, as if nothing followed. `read` are the suggestions that were
read and not generated. A suggestion is right if the text begins with it, or it with the text and a quote.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fixes import Kernel
from harness import JupyterServer, percentile

if TYPE_CHECKING:
    from collections.abc import Iterator

TYPED = (0, 1, 2)
SETTLED = 0.6  # seconds from an execution until the server knows the names


def is_right(shown: str, rest: str) -> bool:
    """Return whether a suggestion begins with the rest of a text, or is the beginning of that."""
    return shown.startswith((f"{rest}'", f'{rest}"')) or (rest.startswith(shown) and bool(shown))


def asked(
    server: JupyterServer, kernel: Kernel, cells: list[dict[str, Any]], place: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Ask at a place, and yield what came."""
    source, start, text = cells[-1]["source"], place["start"], place["text"]
    for typed in TYPED:
        if typed >= len(text):
            break
        before = source[:start] + text[:typed]
        own = {"id": "own", "type": "code", "source": before}
        body = {"path": kernel.path, "kernel_id": kernel.id, "language": "python", "enabled": True}
        body |= {"cells": [*cells[:-1], own], "active": len(cells) - 1, "offset": len(before)}
        begun = time.perf_counter()
        answer = server.parsed("POST", "turbopilot/complete", body | {"trigger": "automatic"})
        took = (time.perf_counter() - begun) * 1000
        item = answer["items"][0] if answer["items"] else {"text": ""}
        yield {"kind": place["kind"], "typed": typed, "text": text, "shown": item["text"], "ms": took} | {
            "read": bool(item.get("read")), "right": is_right(item["text"], text[typed:])
        }  # fmt: skip


def replayed(
    server: JupyterServer, kernel: Kernel, notebook: dict[str, Any], places: dict[int, list[Any]]
) -> Iterator[dict[str, Any]]:
    """Run a notebook, and yield the answers at its places."""
    cells: list[dict[str, Any]] = []
    for number, cell in enumerate(notebook["cells"]):
        cells.append({"id": str(number), "type": cell["type"], "source": cell["source"], "executed": True})
        if cell["type"] != "code":
            continue
        if places[number]:
            time.sleep(SETTLED)
        for place in places[number]:
            yield from asked(server, kernel, cells, place)
        kernel.run(cell["source"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("places", type=Path)
    parser.add_argument("--kernel", default="python3")
    parser.add_argument("--kinds", nargs="*", default=[])
    parser.add_argument("--log", type=Path, default=Path("/dev/null"))
    options = parser.parse_args()
    data = json.loads(options.places.read_text("utf-8"))
    places: dict[int, dict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for place in data["places"]:
        if not place["unknown"] and (not options.kinds or place["kind"] in options.kinds):
            places[place["notebook"]][place["cell"]].append(place)
    counts: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    times: list[float] = []
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory())
        log = stack.enter_context(options.log.open("w"))
        server = stack.enter_context(JupyterServer(Path(name), ready=lambda health: health["ready"]))
        for number, here in places.items():
            notebook, scratch = data["notebooks"][number], Path(name, f"notebook{number}")
            if notebook["folder"]:
                shutil.copytree(notebook["folder"], scratch, ignore=shutil.ignore_patterns(".git"))
            scratch.mkdir(exist_ok=True)
            kernel = Kernel(server, options.kernel, f"{number}.ipynb")
            kernel.run(f"__import__('os').chdir({str(scratch)!r})")
            for answer in replayed(server, kernel, notebook, here):
                print(json.dumps(answer), file=log, flush=True)
                row = counts[answer["kind"], answer["typed"]]
                is_read = answer["read"]
                row.update(places=1, shown=bool(answer["shown"]), right=answer["right"], read=is_read)
                row.update({"read right": is_read and answer["right"]})
                times += [answer["ms"]] * is_read
            kernel.close()
    print("| kind | typed | places | shown | right | read | read right |\n|---|---|---|---|---|---|---|")
    for (kind, typed), row in sorted(counts.items()):
        print(f"| {kind} | {typed} |", *(f"{row[each]} |" for each in
              ("places", "shown", "right", "read", "read right")))  # fmt: skip
    if times:
        print(f"\nread: p50 {percentile(times, 0.5):.0f} ms, p95 {percentile(times, 0.95):.0f} ms")


if __name__ == "__main__":
    main()
