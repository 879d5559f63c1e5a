"""Writes the headline figures as Markdown from benchmarks/RESULTS.md: no page can say another figure."""

from __future__ import annotations

import re
from pathlib import Path

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "RESULTS.md"


def rows(text: str) -> list[tuple[str, list[str]]]:
    """Return every row of every table: its first cell, and the others."""
    found = []
    for line in text.splitlines():
        if line.startswith("|") and not set(line) <= set("|- :"):
            first, *others = (cell.strip() for cell in line.strip("|").split("|"))
            found.append((first, others))
    return found


def figure(begins: str, column: int = 0) -> str:
    """Return a cell of the one row whose first cell begins so."""
    matching = [cells for first, cells in rows(RESULTS.read_text("utf-8")) if first.startswith(begins)]
    if len(matching) != 1:
        raise LookupError(f"benchmarks/RESULTS.md has {len(matching)} rows that begin with {begins!r}.")
    return matching[0][column]


def share(begins: str, column: int = 0) -> str:
    """Return a share such as 0.71 as a percentage."""
    return f"{float(figure(begins, column)) * 100:.0f} %"


def gains() -> str:
    """Return the table of what it gains and what it costs."""
    exact, passed = (f"{float(part) * 100:.0f} %" for part in figure("HumanEval, one line").split(","))
    middle, slow = re.findall(r"\d+", figure("balanced (default)", 3))
    memory, file = re.findall(r"\d+ MB", figure("memory with the model loaded"))
    return "\n".join(
        [
            "| what it gains | |",
            "| --- | --- |",
            f"| keystrokes saved, on held-out notebooks | {share('balanced (default)', 1)} |",
            f"| share of automatic suggestions that were right | {share('balanced (default)')} |",
            f"| a missing line of HumanEval: exact; passes its tests | {exact}; {passed} |",
            "",
            "| what it costs | |",
            "| --- | --- |",
            f"| time to a suggestion: median; 95th percentile | {middle} ms; {slow} ms |",
            f"| memory that the default model adds to the process, its file of {file} included | {memory} |",
            f"| time per keystroke in an 8 300-token notebook, relative to a 544-token one | {figure('a key in 8 300 tokens')} |",
            "| money, accounts, graphics cards, code sent elsewhere | none |",
        ]
    )


def beside_llama_server() -> str:
    """Return the table of what was measured of llama-server and this project, in several runs."""
    names = {
        "mean time of a key, `turbopilot/complete`": "mean time of a key: `turbopilot/complete` / `/infill` of llama-server",
        "mean time of a key, `/infill`": "mean time of a key over `/infill`, ours / llama-server's",
        "tokens evaluated, `turbopilot/complete`": "prompt tokens evaluated a key, `turbopilot/complete` / `/infill` of llama-server",
        "eight editors at once": "eight editors at once: tokens a second; slowest first token, ours / llama-server's",
        "fifty clients at once": "fifty clients at once: tokens a second, ours / llama-server's",
    }
    found = [f"| {said} | {figure(begins)} |" for begins, said in names.items()]
    lines = [
        f"| HumanEval, a line missing: exact, passes its tests; ours with its adapter | {figure('HumanEval, one line')} |",
        f"| the same, llama-server's `/infill` without it, on 200 of the lines | {figure('llama-server')} |",
    ]
    return "\n".join(["| | measured |", "| --- | --- |", *found, *lines])


def quality() -> str:
    """Return in a sentence how often suggestions are right."""
    exact, passed = (f"{float(part) * 100:.0f} %" for part in figure("HumanEval, one line").split(","))
    return (
        f"With the default model and setting, {share('balanced (default)')} of the suggestions that appeared by themselves were "
        f"right, and {share('balanced (default)', 1)} of the\nkeystrokes were saved, on held-out notebooks. "
        f"Where one line of a HumanEval solution is missing, {exact} of the answers\nwere exact and {passed} passed the tests."
    )


def eagerness() -> str:
    """Return the table of the settings of eagerness."""
    kinds = {
        "quiet": ("*quiet*", "few suggestions, most of them right"),
        "balanced (default)": ("*balanced*, the default", "what is more likely right than wrong"),
        "eager": ("*eager*", "many, more of them wrong"),
    }
    lines = [f"| {name} | {shows} | {share(row)} | {share(row, 1)} |" for row, (name, shows) in kinds.items()]
    head = ["| | shows | right, of those shown | keystrokes saved |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *lines, "| *always* | everything that passes the checks | | |"])
