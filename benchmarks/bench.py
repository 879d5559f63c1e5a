"""All measurements of `make bench`, one after another: a failure of one does not end the others.

python benchmarks/bench.py --into FOLDER [--set NOTEBOOKS] [--small] [--only NAME ...]

What each prints is kept in FOLDER, a file for each, and listed at the end. `--small`: as little of each as
tells whether it works; its figures say nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TURBOPILOT = Path(sys.executable).with_name("jupyter-turbopilot")


@dataclass(frozen=True)
class Step:
    """One measurement."""

    name: str
    command: list[str]


@dataclass(frozen=True)
class Outcome:
    """How it went."""

    name: str
    status: int
    seconds: float
    file: Path


def steps(notebooks: Path, into: Path, *, small: bool) -> list[Step]:
    """Return the measurements in their order."""

    def script(name: str, *options: str, less: tuple[str, ...] = ("--small",)) -> list[str]:
        return [sys.executable, str(HERE / f"{name}.py"), *options, *(less if small else ())]

    of_set = ("--set", str(notebooks))
    few = ("--requests", "4")
    short = (*few, "--rounds", "1")
    # After --theirs, everything is llama-server's.
    theirs = ("--theirs", "-np", "1")
    plots = into if small else HERE / "plots"
    replay = script("replay", *of_set, less=short)
    eagerness = ("--eagerness", "quiet", "balanced", "eager")
    return [
        Step("spine", script("spine")),
        Step("constant", script("constant")),
        Step("considerate", script("considerate")),
        Step("load", script("load", less=("--clients", "4", "--seconds", "3", "--rounds", "1"))),
        Step("editors", script("editors", *of_set, less=("--rounds", "1"))),
        Step("overhead", script("overhead", *of_set, less=few)),
        Step("drafts", script("drafts", *of_set, "--requests", "200", less=few)),
        Step("infill", [*replay, "--plot", str(plots / "infill.svg"), *theirs]),
        Step(
            "complete",
            [
                *(*replay, "--route", "complete", "--pause", "0.4", "--settle", "1"),
                *("--plot", str(plots / "complete.svg"), *theirs),
            ],
        ),
        Step(
            "eval",
            [
                *(str(TURBOPILOT), "eval", str(notebooks), "--half", "held-out"),
                *("--requests", "20" if small else "600", *eagerness),
            ],
        ),
    ]


def run(step: Step, into: Path) -> Outcome:
    """Run a measurement; what it prints is shown and kept."""
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


def told(outcomes: list[Outcome], into: Path) -> str:
    """Word how all of it went. Pure."""
    lines = [
        f"{outcome.name:12} {'done' if not outcome.status else f'FAILED ({outcome.status})':12} "
        f"{outcome.seconds:6.0f} s  {outcome.file}"
        for outcome in outcomes
    ]
    failed = sum(bool(outcome.status) for outcome in outcomes)
    end = f"{failed} of {len(outcomes)} failed." if failed else f"All {len(outcomes)} are done."
    kept = f"What they printed is in {into}; what is worth keeping goes into benchmarks/results by hand."
    return "\n".join(["", *lines, f"{end} {kept}"])


def gathered(folder: Path) -> Path:
    """Return a folder of real notebooks, gathered first if they are not there."""
    if not any(folder.glob("*.ipynb")):
        subprocess.run([sys.executable, HERE / "gather.py", folder], check=True)
    return folder


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--set", type=Path, help="notebooks to type; default: those of three packages")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", nargs="+", metavar="NAME")
    options = parser.parse_args()
    # They run in the repository, wherever this was called.
    into = options.into.resolve()
    notebooks = options.set.resolve() if options.set else into.parent / "notebooks"
    into.mkdir(parents=True, exist_ok=True)
    wanted = steps(notebooks, into, small=options.small)
    if options.only:
        if unknown := set(options.only) - {step.name for step in wanted}:
            sys.exit(f"There is no measurement {', '.join(sorted(unknown))}.")
        wanted = [step for step in wanted if step.name in options.only]
    if not options.set:
        gathered(notebooks)
    outcomes = [run(step, into) for step in wanted]
    print(told(outcomes, into), flush=True)
    sys.exit(any(outcome.status for outcome in outcomes))


if __name__ == "__main__":
    main()
