"""Format headline numbers of benchmarks/RESULTS.md as Markdown, so that all pages agree."""

from __future__ import annotations

import re
from pathlib import Path

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "RESULTS.md"


def rows(text: str) -> list[tuple[str, list[str]]]:
    """Return every table row as its first cell and the others."""
    found = []
    for line in text.splitlines():
        if line.startswith("|") and not set(line) <= set("|- :"):
            first, *others = (cell.strip() for cell in line.strip("|").split("|"))
            found.append((first, others))
    return found


def figure(begins: str, column: int = 0) -> str:
    """Return a cell of the only row whose first cell starts with `begins`."""
    matching = [cells for first, cells in rows(RESULTS.read_text("utf-8")) if first.startswith(begins)]
    if len(matching) != 1:
        raise LookupError(f"benchmarks/RESULTS.md has {len(matching)} rows that start with {begins!r}.")
    return matching[0][column]


def share(begins: str, column: int = 0) -> str:
    """Format a share such as 0.71 as a percentage."""
    return f"{float(figure(begins, column)) * 100:.0f} %"


def memory() -> str:
    """Return a clause about the memory of the default model."""
    added, file = re.findall(r"\d+ MB", figure("memory with the model loaded"))
    return f"it adds {added} to the process, including its file of {file}."


def gains() -> str:
    """Return the table of benefits and costs."""
    exact, passed = (f"{float(part) * 100:.0f} %" for part in figure("HumanEval, one line").split(","))
    middle, slow = re.findall(r"\d+", figure("balanced (default)", 3))
    added, file = re.findall(r"\d+ MB", figure("memory with the model loaded"))
    return "\n".join(
        [
            "| benefit | |",
            "| --- | --- |",
            f"| keystrokes saved, on held-out notebooks | {share('balanced (default)', 1)} |",
            f"| precision: share of automatic suggestions that were correct | {share('balanced (default)')} |",
            f"| a missing line of HumanEval: exact; passes its tests | {exact}; {passed} |",
            "",
            "| cost | |",
            "| --- | --- |",
            f"| time to a suggestion: median; 95th percentile | {middle} ms; {slow} ms |",
            f"| memory that the default model adds to the process, including its file of {file} | {added} |",
            f"| time per keystroke in an 8 300-token notebook, relative to a 544-token one | {figure('a key in 8 300 tokens')} |",
            "| money, accounts, graphics cards, code sent to other machines | none |",
        ]
    )


def beside_llama_server() -> str:
    """Return the table of measurements of llama-server and this project."""
    names = {
        "mean time of a key, `turbopilot/complete`": "mean latency per keystroke: `turbopilot/complete` / `/infill` of llama-server",
        "mean time of a key, `/infill`": "mean latency per keystroke over `/infill`, Turbopilot / llama-server",
        "tokens evaluated, `turbopilot/complete`": "prompt tokens evaluated per keystroke, `turbopilot/complete` / `/infill` of llama-server",
        "eight editors at once": "eight concurrent editors: tokens/s; slowest first token, Turbopilot / llama-server",
        "fifty clients at once": "fifty concurrent clients: tokens/s, Turbopilot / llama-server",
    }
    found = [f"| {said} | {figure(begins)} |" for begins, said in names.items()]
    lines = [
        f"| HumanEval single-line infilling: exact, passes its tests; Turbopilot with its adapter | {figure('HumanEval, one line')} |",
        f"| the same with llama-server's `/infill` without adapter, 200 lines | {figure('llama-server')} |",
    ]
    return "\n".join(["| | measured |", "| --- | --- |", *found, *lines])


def quality() -> str:
    """Return a sentence about precision."""
    exact, passed = (f"{float(part) * 100:.0f} %" for part in figure("HumanEval, one line").split(","))
    return (
        f"With the default model and setting, {share('balanced (default)')} of the automatic suggestions were "
        f"correct, and {share('balanced (default)', 1)} of the\nkeystrokes were saved, on held-out notebooks. "
        f"With one line of a HumanEval solution missing, {exact} of the completions\nwere exact and {passed} passed the tests."
    )


def eagerness() -> str:
    """Return the table of eagerness settings."""
    kinds = {
        "quiet": ("*quiet*", "few suggestions, most of them correct"),
        "balanced (default)": (
            "*balanced*, the default",
            "suggestions that are more likely correct than wrong",
        ),
        "eager": ("*eager*", "many suggestions, more of them wrong"),
    }
    lines = [f"| {name} | {shows} | {share(row)} | {share(row, 1)} |" for row, (name, shows) in kinds.items()]
    head = ["| | shows | precision | keystrokes saved |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *lines, "| *always* | every suggestion that passes the checks | | |"])
