"""Completion of columns in R: whether a suggestion behind `table$` names a column, and the kernel's delay.

Usage: python benchmarks/r_members.py KERNEL [--model FILE]

`KERNEL` is a kernel spec of IRkernel. Twenty notebooks read a table, and do not contain the names of
its columns; a cell then uses one of them.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import time
from itertools import product

from harness import LocalPilot, default_weights, percentile
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from msgspec.structs import replace

from jupyter_turbopilot.context.kernel_context import NONE, KernelContext
from jupyter_turbopilot.jupyter.kernels.watch import Kernels
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.suggestion.members import member_at

QUESTIONS = 100
TABLES = {  # with unfamiliar columns
    "readings": ["qv_temp", "station_kx", "hx_hum", "lot_ref"],
    "orders": ["ordx_ref", "gross_zl", "netto_kw", "ship_dk"],
    "patients": ["pt_no", "sbp_v1", "dose_mgx", "arm_cd"],
    "trips": ["leg_id", "km_net", "fare_gr", "dep_tsx"],
    "plots": ["plt_key", "yield_tha", "n_kgx", "cult_cd"],
}
# The cursor is at the bar.
CELLS = [
    "mean({}$|)", "summary({}$|)", "hist({}$|, breaks = 20)", "total <- sum({}$|, na.rm = TRUE)",
]  # fmt: skip


def positions() -> list[tuple[str, list[str], str, str]]:
    """Return the table, its columns, and the text before and after the cursor."""
    made = []
    for table, columns in TABLES.items():
        for cell in CELLS:
            before, _, after = cell.format(table).partition("|")
            made.append((table, columns, before, after))
    return made


def request_at(table: str, before: str, after: str) -> Completion:
    """Return a request of a notebook that reads the table above."""
    read = Cell(source=f'{table} <- read.csv("{table}.csv")\nnrow({table})', executed=True)
    return Completion(
        language="r", cells=[read, Cell(source=before + after)], active=1, offset=len(before), lines="single"
    )


async def with_kernel(name: str, requests: list[Completion]) -> tuple[list[float], list[KernelContext]]:
    """Return the seconds of the questions to a kernel with the tables, and the context of each request."""
    manager = AsyncMappingKernelManager()
    identifier = await manager.start_kernel(kernel_name=name)
    client = manager.get_kernel(identifier).client()
    client.start_channels()
    kernels = Kernels(manager)
    try:
        await client.wait_for_ready(timeout=60)
        frames = [f"{table} <- data.frame({' = 1, '.join(names)} = 1)" for table, names in TABLES.items()]
        await client.execute_interactive("\n".join(frames), timeout=60)
        seconds = []
        for number in range(QUESTIONS):
            await client.execute_interactive(
                f"x <- {number}", timeout=60
            )  # the next answer is not a cached one
            await asyncio.sleep(0.3)
            begun = time.perf_counter()
            await kernels.members(identifier, "r", f"{[*TABLES][number % len(TABLES)]}$")
            seconds.append(time.perf_counter() - begun)
        contexts = []
        for request in requests:
            member = member_at(request)
            contexts.append(await kernels.members(identifier, "r", member.code) if member else NONE)
        return seconds, contexts
    finally:
        kernels.close()
        client.stop_channels()
        await manager.shutdown_all(now=True)


def main() -> None:
    """Print the delays and the shares of suggestions that begin with a column."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kernel")
    parser.add_argument("--model", default=None)
    arguments = parser.parse_args()
    cases = [
        (columns, typed, request_at(table, before + columns[number % 4][:typed], after))
        for typed in (0, 1)
        for number, (table, columns, before, after) in enumerate(positions())
    ]
    seconds, contexts = asyncio.run(with_kernel(arguments.kernel, [request for *_, request in cases]))
    p50, p95 = (1000 * percentile(seconds, share) for share in (0.5, 0.95))
    print(f"question: p50 {p50:.0f} ms, p95 {p95:.0f} ms, max {1000 * max(seconds):.0f} ms, n {len(seconds)}")
    local = LocalPilot(model=arguments.model or str(default_weights()))
    for trigger, typed, known in product(("invoke", "automatic"), (0, 1), (True, False)):
        shown = right = 0
        for (columns, characters, request), context in zip(cases, contexts, strict=True):
            if characters == typed:
                request = replace(request, trigger=trigger)  # noqa: PLW2901
                items = local.last(request, context if known else NONE).items
                text = items[0].text if items else ""
                shown += bool(text)
                member = re.match(r"[\w.]*", request.prefix.rpartition("$")[2] + text)
                right += bool(text and member and member[0] in columns)
        print(f"{trigger}, {typed} typed, {'with' if known else 'without'}: {right} columns of {shown} shown")
    local.close()


if __name__ == "__main__":
    main()
