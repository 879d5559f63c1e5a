"""The memory of one host: an engine in each person's process, or one `serve` for all of them.

python benchmarks/shared_memory.py --people 30

Real processes with the default model and its settings. Each person asks once, about a notebook of their own
that fills the prompt, and stays. What several processes map of one file is counted once: the proportional set
size (PSS) of all of them is added up.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent))

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KINDS = ("none", "llama", "remote")
PORT = 18_733
SHOWN = (1, 2, 3, 10, 20, 30)
SETTLED = 1.5  # seconds until an idle engine has parked what it holds
CELLS, LINES = 12, 8


@dataclass(frozen=True)
class Memory:
    """Proportional set size in MB: all of it, and what stands in no file."""

    pss: float = 0.0
    own: float = 0.0

    def __add__(self, other: Memory) -> Memory:
        return Memory(self.pss + other.pss, self.own + other.own)


def memory_of(*processes: int) -> Memory:
    """Add up the memory of processes."""
    total = Memory()
    for pid in processes:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        held = {
            name: int(value.split()[0]) * 1024 / 1e6 for name, _, value in (s.partition(":") for s in lines)
        }
        total += Memory(held["Pss"], held["Pss_Anon"])
    return total


def cells_of(person: int) -> list[str]:
    """Write a notebook that nobody else has, longer than a prompt."""
    return [
        "\n".join(
            f"measure_{person}_{cell}_{line} = frame_{person}['column_{cell}'].rolling({line + 2}).mean()"
            for line in range(LINES)
        )
        for cell in range(CELLS)
    ]


def person(number: int, kind: str, port: int) -> None:
    """Be one person's process: ask once, say so, and stay until the input ends."""
    from desk import Desk

    from jupyter_turbopilot.config import Turbopilot, TurbopilotRemote
    from jupyter_turbopilot.pilot.pilot import Pilot
    from jupyter_turbopilot.request import Cell, Completion

    if kind == "none":
        kept: object = Pilot(Turbopilot(keep_sequences=False))
        said = "nothing"
    else:
        settings: dict[str, object] = {"deadline": 600.0, "idle_minutes": 0.0}
        if kind == "remote":
            urls = [f"http://127.0.0.1:{port}/v1"]
            far = TurbopilotRemote(urls=urls, vocabulary="qwen2.5-coder-0.5b", timeout=600.0)
            settings |= {"engine": "remote", "remote": far}
        kept = desk = Desk(**settings)
        cells = [Cell(source=source) for source in cells_of(number)]
        last = Cell(source=f"result_{number} = frame_{number}.")
        asked = Completion(cells=[*cells, last], active=len(cells), offset=len(last.source))
        reply = desk.ask(asked)[1]
        assert reply.error is None, reply.error
        said = f"{reply.timings.prompt_tokens} tokens read"
        time.sleep(SETTLED)
    print(f"ready: {said}", flush=True)
    sys.stdin.read()
    del kept


@contextmanager
def people(kind: str, count: int, port: int, joined: Callable[[list[int]], None]) -> Iterator[list[int]]:
    """Start people's processes, one after the other; end them with the block."""
    with ExitStack() as stack:
        pids: list[int] = []
        for number in range(count):
            command = [sys.executable, __file__, "--be", str(number), "--kind", kind, "--port", str(port)]
            pipe = subprocess.PIPE
            process = stack.enter_context(
                subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
            )
            stack.callback(process.kill)
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("ready: "), f"person {number} ({kind}) did not answer"
            if not number:
                print(f"{kind}: {line.strip()}", flush=True)
            pids.append(process.pid)
            joined(pids)
        yield pids


def show(what: str, count: int, memory: Memory) -> None:
    """Print one line of the table."""
    print(f"| {what} | {count} | {memory.pss:.0f} | {memory.own:.0f} |", flush=True)


def measure(count: int) -> None:
    """Measure both ways with the same number of people, and what each process takes without an engine."""
    from engines import served

    def line(what: str) -> Callable[[list[int]], None]:
        return lambda pids: show(what, len(pids), memory_of(*pids)) if len(pids) in {*SHOWN, count} else None

    with people("none", count, PORT, line("processes without an engine")) as pids:
        without = memory_of(*pids)
    with people("llama", count, PORT, line("an engine in each process")) as pids:
        each = memory_of(*pids)
    with tempfile.TemporaryDirectory() as folder:
        # All that was read of these people's notebooks is kept, which is more than by default.
        (Path(folder) / "jupyter_turbopilot_config.py").write_text("c.Turbopilot.sequences_memory = 1024\n")
        os.environ["JUPYTER_CONFIG_PATH"] = folder
        command = str(Path(sys.executable).with_name("jupyter-turbopilot"))
        with served(PORT, command, "serve", "--no-api-key") as server:
            show("`serve`, before anybody asks", 0, memory_of(server.pid))
            with people("remote", count, PORT, line("processes of people whose engine is `serve`")) as pids:
                time.sleep(SETTLED)
                shared, asking = memory_of(server.pid), memory_of(*pids)
    show("`serve`, with what it read of all", count, shared)
    engines = each.pss - without.pss
    print(f"engines: one shared {shared.pss:.0f} MB (its whole process), {count} in-process {engines:.0f} MB")
    print(f"one shared / {count} in-process, engines alone: {shared.pss / engines:.2f}")
    both = shared.pss + asking.pss
    print(f"all processes: {both:.0f} MB / {each.pss:.0f} MB = {both / each.pss:.2f}")


def main() -> None:
    """Measure, or be one of those who are measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--be", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--kind", choices=KINDS, default="llama", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=PORT, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.be is None:
        measure(options.people)
    else:
        person(options.be, options.kind, options.port)


if __name__ == "__main__":
    main()
