"""How good each model's suggestions are: right, saved, time of a key and memory, by eagerness.

    python benchmarks/quality.py --set notebooks.json.gz --requests 600

Each model types the held-out half in a process of its own, one after the other. `--write` puts the results
into `jupyter_turbopilot/models/quality.json`, which the models panel and docs/models.md show.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil

from jupyter_turbopilot.cli import read_settings
from jupyter_turbopilot.evaluate import traces, typist
from jupyter_turbopilot.evaluate.notebooks import read
from jupyter_turbopilot.models.quality import Measured, Quality
from jupyter_turbopilot.shell.in_process import InProcess

EAGERNESS = ("quiet", "balanced", "eager")
# A model, and whether it is used with the adapter that comes with the package.
MODELS = (
    ("qwen2.5-coder-0.5b", True),
    ("qwen2.5-coder-0.5b", False),
    ("qwen2.5-coder-1.5b", True),
    ("smollm2-135m", True),
)
WRITTEN = Path(__file__).resolve().parents[1] / "jupyter_turbopilot" / "models" / "quality.json"


def peak() -> int:
    """Return the most memory that this process has had, in bytes."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def measure(options: argparse.Namespace) -> None:
    """Type with one model; print a line of JSON for each eagerness."""
    settings = read_settings(options.model)
    settings.keep_sequences = settings.learning = settings.considerate = False
    settings.results_file = ""
    if options.published:
        settings.adapters = []
    local = InProcess(settings)
    local.wait()
    chosen = traces.of_kind(read(options.set)[1::2], "append", options.requests)
    for eagerness in EAGERNESS:
        settings.eagerness = eagerness
        local.pilot.completer.results.clear()
        typed = typist.by_keystrokes(local, chosen, lambda _: None)
        total = typed.total
        found = {
            "eagerness": eagerness,
            "shown": total.shown,
            "precision": total.precision,
            "saved": total.share_saved,
            "ms": statistics.median(typed.ms),
            "p95": statistics.quantiles(typed.ms, n=20)[-1],
            "mean": statistics.fmean(typed.ms),
            "memory": peak(),
        }
        print(json.dumps(found), flush=True)
    local.close()


def every(options: argparse.Namespace) -> None:
    """Measure all models, each in a process of its own; print the table, write what the panel shows."""
    print("| model | eagerness | right | saved | shown | a key: median, p95, mean | memory |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    written: list[Measured] = []
    for model, tuned in MODELS:
        command = [sys.executable, __file__, "--set", str(options.set), "--requests", str(options.requests)]
        command += ["--model", model, *([] if tuned else ["--published"])]
        out = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
        name = model if tuned else f"{model}, without its adapter"
        rows = [json.loads(line) for line in out.splitlines()]
        for found in rows:
            print(
                f"| {name} | {found['eagerness']} | {found['precision']:.2f} | {found['saved']:.2f} "
                f"| {found['shown']} | {found['ms']:.0f}, {found['p95']:.0f}, {found['mean']:.0f} ms "
                f"| {found['memory'] / 1e6:.0f} MB |",
                flush=True,
            )
        by_eagerness = {
            found["eagerness"]: Quality(
                precision=round(found["precision"], 2),
                saved=round(found["saved"], 2),
                ms=round(found["ms"]),
            )
            for found in rows
        }
        memory = max(found["memory"] for found in rows)
        written.append(Measured(model, memory, by_eagerness, without_adapter=not tuned))
    if options.write:
        WRITTEN.write_bytes(msgspec.json.format(msgspec.json.encode(written), indent=1) + b"\n")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=600)
    parser.add_argument("--model", help="measure this one alone, in this process")
    parser.add_argument("--published", action="store_true", help="without its adapter")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    (measure if options.model else every)(options)


if __name__ == "__main__":
    main()
