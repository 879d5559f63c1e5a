"""Format headline numbers of benchmarks/RESULTS.md as Markdown, so that all pages agree."""

from __future__ import annotations

from pathlib import Path

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "RESULTS.md"
BALANCED = "balanced (default)"  # the row of the default setting
BY_MODEL = "Qwen2.5-Coder 0.5 B with its adapter"  # the row of the default model


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
    added, file = figure("memory that the engine adds"), figure("of that, the model file")
    return f"it adds {added} to the process, including its file of {file}."


def gains() -> str:
    """Return the table of benefits and costs."""
    exact, passed = share("HumanEval, exact"), share("HumanEval, passes")
    middle, slow = figure(BY_MODEL, 3), figure(BY_MODEL, 4)
    memory, file = figure("memory that the engine adds"), figure("of that, the model file")
    slower = f"{float(figure('keystroke in 8 300 tokens')) * 100 - 100:.0f} % slower"
    return "\n".join(
        [
            "| benefit | |",
            "| --- | --- |",
            f"| keystrokes saved by a simulated user who waits for each suggestion | {share(BALANCED, 2)} |",
            f"| precision: share of automatic suggestions that were correct | {share(BALANCED)} |",
            f"| HumanEval with one line removed: restored exactly; tests pass | {exact}; {passed} |",
            "",
            "| cost | |",
            "| --- | --- |",
            f"| time to a suggestion on two idle cores: median; 95th percentile | {middle}; {slow} |",
            f"| memory that the default model adds to the server; of that, its file with the notebook adapter: {file} | {memory} |",
            f"| time per keystroke in a long notebook (8 300 tokens), compared with a short one (544 tokens) | {slower} |",
        ]
    )


def beside_llama_server() -> str:
    """Return the table of measurements of llama-server and this project."""
    names = {
        "mean time per keystroke, `turbopilot/complete`": "mean latency per keystroke: `turbopilot/complete` / `/infill` of llama-server",
        "mean time per keystroke, `/infill`": "mean latency per keystroke over `/infill`, Turbopilot / llama-server",
        "mean time per keystroke over `/infill` with flash attention": "the same with flash attention in Turbopilot",
        "tokens evaluated, `turbopilot/complete`": "prompt tokens evaluated per keystroke, `turbopilot/complete` / `/infill` of llama-server",
        "tokens evaluated, `/infill`": "prompt tokens evaluated per keystroke over `/infill`, Turbopilot / llama-server",
        "share of identical texts, `/infill`": "share of identical texts over `/infill`",
        "eight concurrent editors, tokens per second": "eight concurrent editors, Intel Xeon: tokens/s, Turbopilot / llama-server",
        "eight concurrent editors, slowest": "the same: slowest first token",
        "fifty concurrent clients": "fifty concurrent clients, Intel Xeon: tokens/s, Turbopilot / llama-server",
        "eight editors with separate caches, tokens per second": "eight concurrent editors, AMD EPYC, 28 November: tokens/s, Turbopilot / llama-server",
        "eight editors with separate caches, slowest": "the same: slowest first token",
        "fifty clients with separate caches": "fifty concurrent clients, AMD EPYC, 28 November: tokens/s, Turbopilot / llama-server",
        "HumanEval, exact": "HumanEval, one line missing, Turbopilot with its adapter: exact",
        "HumanEval, passes": "the same: passes its tests",
        "llama-server's `/infill`, 200 of the lines, without the adapter: exact": "HumanEval, `/infill` of llama-server without adapter, 200 lines: exact",
        "llama-server's `/infill`, 200 of the lines, without the adapter: passes": "the same: passes its tests",
    }
    found = [f"| {text} | {figure(begins)} |" for begins, text in names.items()]
    return "\n".join(["| | measured |", "| --- | --- |", *found])


def quality() -> str:
    """Return a sentence about precision."""
    return (
        f"With the default model and setting, {share(BALANCED)} of the automatic suggestions were correct on held-out notebooks,\n"
        f"and saved {share(BALANCED, 2)} of the keystrokes of a simulated user who waits for each suggestion. With one line of a\n"
        f"HumanEval solution missing, {share('HumanEval, exact')} of the completions were exact and {share('HumanEval, passes')} passed the tests."
    )


def eagerness() -> str:
    """Return the table of eagerness settings."""
    kinds = {
        "quiet": ("*quiet*", "few suggestions, most of them correct"),
        BALANCED: (
            "*balanced*, the default",
            "suggestions that are more likely correct than wrong",
        ),
        "eager": ("*eager*", "more suggestions, about half of them wrong"),
    }
    lines = [f"| {name} | {shows} | {share(row)} | {share(row, 2)} |" for row, (name, shows) in kinds.items()]
    head = ["| | shows | precision | keystrokes saved |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *lines, "| *always* | every suggestion that passes the checks | | |"])
