"""Compare the completers of other projects with this one, each in a real JupyterLab.

python research/benchmarks/peers.py NOTEBOOKS --into FOLDER [--notebooks 24] [--peers NAME …] [--modes NAME …]

research/measure.md defines the measurement. Each peer has an environment of its own in FOLDER. The
same cells are typed with each peer in turn. FOLDER also contains a recording of each cell, which a later
call does not repeat (use another folder for other notebooks or changed modes), the results as files for
`jupyter turbopilot eval compare`, and the page peers.md. Needs the front end's packages, the default model,
Chromium and Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from baseline import program

from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.models.folder import models_dir
from turbopilot_research.evaluate import result_file
from turbopilot_research.evaluate.notebooks import TypedNotebook, read
from turbopilot_research.evaluate.replay import Pace, TypingResult, finish
from turbopilot_research.evaluate.result_file import Made
from turbopilot_research.evaluate.scoring import Score, judge, saved_ratio
from turbopilot_research.evaluate.traces import LONGEST_CELL, Keystroke, Trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from turbopilot_research.evaluate.result_file import Metric

BROWSER = Path(__file__).resolve().parent / "browser"
MODEL = "qwen2.5-coder-0.5b"
JUPYTERLAB = tuple(f"{name}=={version(name)}" for name in ("jupyterlab", "ipykernel"))
# The packages of each peer; none: the environment that runs this. The language server reads the source of the
# packages that notebooks import.
PEERS = {
    "turbopilot": (),
    "turbopilot-no-adapter": (),
    "notebook-intelligence": ("notebook-intelligence==6.2.0",),
    "jupyter-ai": ("jupyter-ai==2.31.7", "langchain-ollama==0.3.10"),
    "jupyterlab-lsp": (
        "jupyterlab-lsp==5.3.0",
        "python-lsp-server==1.15.0",
        "numpy==2.4.6",
        "pandas==3.1.1",
        "matplotlib==3.11.2",
    ),
}
PAUSE_PEERS = ("turbopilot", "notebook-intelligence", "jupyter-ai")
MODEL_PEERS = (*PAUSE_PEERS, "turbopilot-no-adapter")
KEY_INTERVAL = 200  # milliseconds
SHORTEST, TYPED = 120, 90  # characters of a cell, and of its end, which is typed
ALONE_KEYSTROKE = 45  # the index of the keystroke that the mode `alone` types
SUBSET = 6  # notebooks of the modes with pauses


class Mode(msgspec.Struct):
    """A typing mode and the text of its table."""

    title: str
    text: str
    line_pause: int = 0  # milliseconds before each Enter
    slower: int = 1
    wait: int = 0  # seconds: one key, then wait for a suggestion; 0: type everything
    notebooks: int = SUBSET
    peers: tuple[str, ...] = tuple(PEERS)


MODES = {
    "steady": Mode(
        "Steady typing",
        "The end of {count} cells, one of each notebook; 200 ms a keystroke, without pauses.",
        notebooks=sys.maxsize,
    ),
    "pauses": Mode(
        "Typing with pauses",
        "The first {count} of these cells; the user also pauses for 2 s before each Enter.",
        line_pause=2000,
        peers=PAUSE_PEERS,
    ),
    "slow": Mode(
        "Slow typing with pauses",
        "The first {count} of these cells. Keys, pauses, and the delays and time limits of the other\n"
        "completers take three times as long, to imitate a machine three times as fast. Those of\n"
        "*turbopilot* are unchanged. The times in the table are as measured.",
        line_pause=2000,
        slower=3,
        peers=PAUSE_PEERS,
    ),
    "alone": Mode(
        "A single keystroke",
        "One keystroke in each of the first {count} cells, then up to 30 s: no other request delays it.",
        wait=30,
        notebooks=8,
        peers=MODEL_PEERS,
    ),
}


class Key(msgspec.Struct):
    """The suggestion that was visible before a key, and the milliseconds to its first frame if it was new."""

    text: str
    ms: float | None


class Recording(msgspec.Struct):
    """The visible suggestions before each key and after the last one; the CPU seconds of all processes."""

    keys: list[Key]
    cpu: float
    seconds: float


def held_out_notebooks(source: Path) -> list[TypedNotebook]:
    """Return the held-out notebooks up to their middle cell of suitable length."""
    notebooks = []
    for one in read(source)[1::2]:
        suitable = [at for at in one.typed if SHORTEST <= len(one.cells[at].source) <= LONGEST_CELL]
        if suitable:
            active = suitable[len(suitable) // 2]
            notebooks.append(TypedNotebook(one.name, one.cells[: active + 1], typed=(active,)))
    return notebooks


def trace_of(notebook: TypedNotebook) -> Trace:
    """Return the keystrokes of the last lines of the last cell."""
    *above, source = notebook.sources
    start = source.rfind("\n", 0, len(source) - TYPED) + 1
    return Trace(
        "end of a cell",
        notebook.name,
        tuple(
            Keystroke((*above, source[:at]), notebook.types, len(above), at, source[at:], at - start)
            for at in range(start, len(source))
        ),
    )


def prepare(folder: Path, packages: Sequence[str]) -> Path:
    """Return the program `jupyter` of a peer's environment; create it if necessary."""
    if not packages:
        return Path(sys.executable).with_name("jupyter")
    python, installed = folder / "bin" / "python", folder / "installed.txt"
    wanted = "\n".join((*JUPYTERLAB, *packages))
    if not installed.exists() or installed.read_text() != wanted:
        print(f"Installing {', '.join(packages)} in {folder}…", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *JUPYTERLAB, *packages], check=True)
        if "notebook-intelligence" in packages[0]:
            config = folder / "share" / "jupyter" / "nbi" / "config.json"
            config.parent.mkdir(parents=True, exist_ok=True)
            model = {"provider": "ollama", "model": "qwen2.5-coder"}
            config.write_text(json.dumps({"inline_completion_model": model, "chat_model": model}))
        installed.write_text(wanted)
    return python.with_name("jupyter")


def record(jupyter: Path, peer: str, mode: Mode, trace: Trace, file: Path) -> None:
    """Type in a browser and write the recording; a failure leaves none."""
    first = trace.keystrokes[ALONE_KEYSTROKE if mode.wait else 0]
    typed = first.future[:1] if mode.wait else first.future
    cells = [{"type": kind, "source": text} for kind, text in zip(first.types, first.cells, strict=True)]
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        task = Path(folder) / "task.json"
        task.write_text(json.dumps({"cells": cells, "typed": typed}))
        options: dict[str, str | Path] = {
            "key": f"{KEY_INTERVAL}",
            "pause": f"{mode.line_pause}",
            "slower": f"{mode.slower}",
            "wait": f"{mode.wait}",
            "peer": peer,
            "task": task,
            "into": file,
            "models": models_dir(),
            "model": models_dir() / catalog()[MODEL].file,
            "server": program(),
        }
        command: list[str | Path] = ["node", BROWSER / "pace.mjs"]
        command += [word for name, value in options.items() for word in (f"--{name}", value)]
        subprocess.run(command, env={**os.environ, "JUPYTER": str(jupyter)}, check=False)
    print(f"{mode.title}, {file.stem}, {peer}: {'done' if file.exists() else 'failed'}", flush=True)


def score(traces: Sequence[Trace], recordings: Sequence[Recording]) -> TypingResult:
    """Score what was visible before each key."""
    typed = TypingResult(pace=Pace(cpu=sum(one.cpu for one in recordings)))
    for trace, recording in zip(traces, recordings, strict=True):
        found = Score()
        for keystroke, key in zip(trace.keystrokes, recording.keys[:-1], strict=True):
            if keystroke.place < found.covered(keystroke.active):
                continue
            shown = found.total.shown
            found.show_at(keystroke, key.text)
            if found.total.shown > shown and key.ms is not None:
                typed.ms.append(key.ms)
        finish(typed, trace, found)
    return typed


def with_interval(metric: Metric, digits: int = 2) -> str:
    """Return a value and its interval."""
    interval = "" if metric.low is None else f" ({metric.low:.{digits}f} to {metric.high:.{digits}f})"
    return f"{metric.value:.{digits}f}{interval}"


def row(file: Path, seconds: float) -> str:
    """Return a row of the table of results."""
    (name, measured), *_ = result_file.read(file).results.items()
    metrics, total = measured.metrics, measured.typed.total
    cpu = measured.pace.cpu if measured.pace else None
    precision = with_interval(metrics["precision"]) if total.shown else ""
    shares = f"{precision} | {with_interval(metrics['keystrokes_saved'])}"
    ms = f"{statistics.median(measured.ms):.0f}" if measured.ms else ""
    return (
        f"| {name} | {shares} | {with_interval(metrics['shown_per_100_keystrokes'], 1)} | {ms} "
        f"| {1000 * (cpu or 0) / max(1, total.typed):.0f} | {1000 * seconds / max(1, total.typed):.0f} |"
    )


def row_alone(peer: str, traces: Sequence[Trace], recordings: Sequence[Recording]) -> str:
    """Return a row of the table of single keystrokes: the time to the text, and the kind of texts."""
    shown = [
        (key, trace.keystrokes[ALONE_KEYSTROKE + 1])
        for trace, recording in zip(traces, recordings, strict=True)
        if (key := recording.keys[-1]).text.strip()
    ]
    right = sum(judge(key.text, at.future, at.cells[at.active]).right for key, at in shown)
    seconds = [key.ms / 1000 for key, _ in shown if key.ms is not None]
    median = f"{statistics.median(seconds):.1f}" if seconds else ""
    lines = f"{statistics.mean(len(key.text.strip().splitlines()) for key, _ in shown):.1f}" if shown else ""
    return f"| {peer} | {len(shown)} of {len(traces)} | {median} | {right} | {lines} |"


PAGE = """# Beside other completers

Measured with `make bench-peers` (`peers.py`) on {machine}, {date}. Every completer is used in a
JupyterLab of its own, in headless Chromium, with its defaults; completion as the user types is enabled
where it is off by default: in jupyter-ai and jupyterlab-lsp. All that use a model use the same file,
{model}; *turbopilot* adds its adapter.
[measure.md](../../measure.md#a-jupyterlab-as-the-source) has the rules. Names of
which fewer than four characters are left count as wrong unless they end the line. Each further line of a text
counts as a suggestion, except after a single keystroke.

- *turbopilot*: this project; *turbopilot-no-adapter*: the same without its adapter for this model.
- *notebook-intelligence* and *jupyter-ai* use Ollama. `browser/ollama.mjs` is a **stand-in for
  Ollama**: the same protocol in front of llama.cpp's server with its prompt cache. jupyter-ai sends
  chat requests, for which this model is small.
- *jupyterlab-lsp* is used with python-lsp-server: the first entry of the list that opens during typing.
  It completes names and needs no model. Its users choose from the list, which these metrics do not count.

{versions}

"""
COLUMNS = (
    "precision", "keystrokes saved", "shown per 100 keystrokes", "ms to text, median",
    "CPU seconds for 1 000 characters", "ms per keystroke",
)  # fmt: skip
ALONE_COLUMNS = ("shown", "seconds to text, median", "correct first lines", "lines of a text, mean")


def section(mode: Mode, count: int, rows: Sequence[str]) -> str:
    """Return the table of a mode."""
    columns = ALONE_COLUMNS if mode.wait else COLUMNS
    head = f"| {mode.title} | {' | '.join(columns)} |\n| --- |{' --- |' * len(columns)}"
    return "\n".join([f"## {mode.title}\n", mode.text.format(count=count), "", head, *rows, "", ""])


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("set", type=Path)
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--notebooks", type=int, default=24)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=[*PEERS])
    parser.add_argument("--modes", nargs="+", choices=MODES, default=[*MODES])
    options = parser.parse_args()
    notebooks = held_out_notebooks(options.set)[: options.notebooks]
    traces = [*map(trace_of, notebooks)]
    jupyters = {peer: prepare(options.into / "environments" / peer, PEERS[peer]) for peer in options.peers}
    page = ""
    for name in options.modes:
        mode = MODES[name]
        peers = [peer for peer in options.peers if peer in mode.peers]
        files = {
            (peer, number): options.into / "recordings" / name / peer / f"{number:02}.json"
            for number in range(min(len(traces), mode.notebooks))
            for peer in peers
        }
        for (peer, number), file in files.items():
            if not file.exists():
                record(jupyters[peer], peer, mode, traces[number], file)
        # All peers must have typed the same cells.
        absent = {number for (_, number), file in files.items() if not file.exists()}
        numbers = sorted({number for _, number in files} - absent)
        rows: list[str] = []
        scored: dict[str, TypingResult] = {}
        for peer in peers if numbers else ():
            recordings = [
                msgspec.json.decode(files[peer, number].read_bytes(), type=Recording) for number in numbers
            ]
            typed = [traces[number] for number in numbers]
            if mode.wait:
                rows.append(row_alone(peer, typed, recordings))
                continue
            result = options.into / f"{peer}-{name}.json"
            source = ", ".join((*JUPYTERLAB[:1], *(PEERS[peer] or (peer,))))
            effective = {
                "clock": KEY_INTERVAL * mode.slower,
                "trace": [name],
            }
            made = Made(source, MODEL if peer in MODEL_PEERS else "", options.set.name, effective)
            scored[peer] = score(typed, recordings)
            result_file.write(result, made, [notebooks[number] for number in numbers], {peer: scored[peer]})
            rows.append(row(result, sum(one.seconds for one in recordings)))
        if rows:
            page += section(mode, len(numbers), rows)
        if {"turbopilot", "turbopilot-no-adapter"} <= {*scored}:
            gain = saved_ratio(scored["turbopilot"].notebooks, scored["turbopilot-no-adapter"].notebooks)
            page += f"*turbopilot* saves {gain} with its adapter.\n\n"
    head = PAGE.format(
        machine=result_file.machine(),
        date=f"{datetime.now(UTC):%-d %B %Y}",
        model=catalog()[MODEL].file,
        versions=f"Versions: {', '.join((*JUPYTERLAB, *dict.fromkeys(sum(PEERS.values(), ()))))}.",
    )
    (options.into / "peers.md").write_text(f"{head}{page}".strip() + "\n")
    print(f"{head}{page}", flush=True)


if __name__ == "__main__":
    main()
