"""Run the measurements of `make bench` one after another, continuing after failures.

python research/benchmarks/bench.py --into FOLDER [--set NOTEBOOKS] [--small] [--only NAME ...]

The output of each measurement is saved in a file in FOLDER, and listed at the end. `--small` runs only enough
of each to check that it works; its results are meaningless.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TURBOPILOT = Path(sys.executable).with_name("jupyter-turbopilot")


@dataclass(frozen=True)
class Step:
    """One measurement."""

    name: str
    command: list[str]


@dataclass(frozen=True)
class Outcome:
    """The result of a measurement."""

    name: str
    status: int
    seconds: float
    file: Path


def steps(notebooks: Path, into: Path, *, small: bool) -> list[Step]:
    """Return the measurements in order."""

    def script(name: str, *options: str, less: tuple[str, ...] = ("--small",)) -> list[str]:
        return [sys.executable, str(HERE / f"{name}.py"), *options, *(less if small else ())]

    def evaluate(requests: str, *options: str) -> list[str]:
        count = ("--requests", "20" if small else requests)
        return [str(TURBOPILOT), "eval", "notebooks", str(notebooks), "--half", "held-out", *count, *options]

    of_set = ("--set", str(notebooks))
    short = ("--requests", "4", "--rounds", "1")
    plots = into if small else HERE / "plots"
    clients = ("--clients", "4", "--seconds", "3", "--rounds", "1")
    return [
        Step("costs", script("costs")),
        Step("editors", script("load", "editors", *of_set, less=("--rounds", "1"))),
        Step("clients", script("load", "clients", less=clients)),
        Step("notebook_index", script("notebook_index", *of_set)),
        Step("imports", script("imports", *of_set)),
        Step("infill", script("replay", *of_set, "--plot", str(plots / "infill.svg"), less=short)),
        Step(
            "complete",
            script(
                "replay", *of_set, "--route", "complete", "--plot", str(plots / "complete.svg"), less=short
            ),
        ),
        Step("eval", evaluate("600", "--eagerness", "quiet", "balanced", "eager")),
        Step("pace", evaluate("500", "--clock")),
        Step("busy", evaluate("500", "--clock", "--busy", "2")),
    ]


def run(step: Step, into: Path) -> Outcome:
    """Run a measurement; print and save its output."""
    file = into / f"{step.name}.txt"
    begun = time.monotonic()
    print(f"\n== {step.name}: {' '.join(step.command)}", flush=True)
    with file.open("w", encoding="utf-8") as kept:
        try:
            process = subprocess.Popen(
                step.command,
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
            )
        except OSError as error:
            kept.write(f"{error}\n")
            print(error, flush=True)
            return Outcome(step.name, 127, 0.0, file)
        with process:
            assert process.stdout
            for line in process.stdout:
                kept.write(line)
                kept.flush()
                print(line, end="", flush=True)
    return Outcome(step.name, process.returncode, time.monotonic() - begun, file)


def summary(outcomes: list[Outcome], into: Path) -> str:
    """Return one line for each measurement, and the number of failures."""
    lines = [
        f"{outcome.name:12} {'done' if not outcome.status else f'FAILED ({outcome.status})':12} "
        f"{outcome.seconds:6.0f} s  {outcome.file}"
        for outcome in outcomes
    ]
    failed = sum(bool(outcome.status) for outcome in outcomes)
    end = f"{failed} of {len(outcomes)} failed." if failed else f"All {len(outcomes)} are done."
    return "\n".join(
        ["", *lines, f"{end} Copy results worth keeping from {into} to research/benchmarks/results."]
    )


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--set", type=Path, help="notebooks to replay; default: those of three packages")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", nargs="+", metavar="NAME")
    options = parser.parse_args()
    # The measurements run in the repository, wherever this was called.
    into = options.into.resolve()
    notebooks = options.set.resolve() if options.set else into.parent / "notebooks"
    into.mkdir(parents=True, exist_ok=True)
    wanted = steps(notebooks, into, small=options.small)
    if options.only:
        if unknown := set(options.only) - {step.name for step in wanted}:
            sys.exit(f"Unknown measurement: {', '.join(sorted(unknown))}.")
        wanted = [step for step in wanted if step.name in options.only]
    if not (options.set or any(notebooks.glob("*.ipynb"))):
        subprocess.run([sys.executable, HERE / "gather.py", notebooks], check=True)
    outcomes = [run(step, into) for step in wanted]
    print(summary(outcomes, into), flush=True)
    sys.exit(any(outcome.status for outcome in outcomes))


if __name__ == "__main__":
    main()
