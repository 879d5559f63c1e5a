"""How good a model for the browser is, as a page answers with it, and as the server does with others.

    python benchmarks/browser/quality.py MODEL.gguf --set notebooks.json.gz [--beside MODEL …] [--alike 200]

On the half of the notebooks that the gate was not fitted to: lines completed exactly at 1 500 places; cells
typed at each eagerness; how often the server answers alike with the same file.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from page_model import PageModel  # type: ignore[import-not-found]

from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.evaluate.lines import complete, places
from jupyter_turbopilot.evaluate.notebooks import read
from jupyter_turbopilot.evaluate.traces import of_kind, request_at
from jupyter_turbopilot.evaluate.typist import by_keystrokes
from jupyter_turbopilot.shell.in_process import InProcess
from jupyter_turbopilot.suggestion.fit import EAGERNESS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.evaluate.lines import Cursor
    from jupyter_turbopilot.evaluate.notebooks import TypedNotebook


def in_server(model: str, eagerness: str) -> InProcess:
    """Load a model as the server does; a tiny one is fastest with one thread."""
    settings = Turbopilot(
        model=model,
        eagerness=eagerness,
        keep_sequences=False,
        learning=False,
        considerate=False,
        results_file="",
        threads=1 if model.endswith(".gguf") else 0,
    )
    local = InProcess(settings)
    local.wait()
    return local


def measure(
    name: str,
    begin: Callable[[str], InProcess],
    notebooks: Sequence[TypedNotebook],
    chosen: Sequence[Cursor],
    requests: int,
) -> None:
    """Print a row for each eagerness."""

    def tell(what: str) -> None:
        print(name, what, file=sys.stderr)

    with closing(begin("always")) as local:
        lines = complete(local, notebooks, chosen, tell)
    print(f"{name}: exact {lines.share:.3f} of {len(lines.exact)}", flush=True)
    for eagerness in EAGERNESS[:-1]:  # the last shows everything
        with closing(begin(eagerness)) as local:
            total = by_keystrokes(local, of_kind(notebooks, "append", requests), tell).total
        print(
            f"{name}, {eagerness}: precision {total.precision:.3f}, saved {total.share_saved:.3f}, "
            f"shown {total.per_hundred:.1f} per 100 keys, {total.keys} keys",
            flush=True,
        )


def alike(model: Path, name: str, notebooks: Sequence[TypedNotebook], chosen: Sequence[Cursor]) -> None:
    """Print how often page and server answer alike with one file."""
    same = answered = 0
    with ExitStack() as stack:
        page = stack.enter_context(closing(PageModel(model, name, "always")))
        server = stack.enter_context(closing(in_server(str(model), "always")))
        for number, cell, at, _ in chosen:
            request = request_at(notebooks[number], cell, at, "", trigger="automatic", lines="single")
            texts = [
                reply.items[0].text if reply.items else ""
                for reply in (page.last(request), server.last(request))
            ]
            same += texts[0] == texts[1]
            answered += any(texts)
    print(f"page and server alike: {same} of {len(chosen)}, {answered} of them with an answer")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--name", default="characters", help="chooses the gate's coefficients (%(default)s)")
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument("--places", type=int, default=1500)
    parser.add_argument("--requests", type=int, default=1500, help="at each eagerness (%(default)s)")
    parser.add_argument("--beside", nargs="*", default=[], help="models in the server")
    parser.add_argument("--alike", type=int, default=0, help="places at which page and server are compared")
    options = parser.parse_args()
    notebooks = read(options.set)[1::2]
    chosen = places(notebooks, options.places)
    measure(
        "page",
        lambda eagerness: PageModel(options.model, options.name, eagerness),
        notebooks,
        chosen,
        options.requests,
    )
    for model in options.beside:
        measure(model, partial(in_server, model), notebooks, chosen, options.requests)
    if options.alike:
        alike(options.model, options.name, notebooks, places(notebooks, options.alike, seed=3))


if __name__ == "__main__":
    main()
