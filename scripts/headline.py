"""Format headline numbers of research/benchmarks/RESULTS.md as Markdown, so that all pages agree."""

from __future__ import annotations

import math
from itertools import takewhile
from pathlib import Path

from jupyter_turbopilot.engine.load.machine import MAX_THREADS
from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.models.recommend import MEMORY_SHARE, measured, memory_of
from jupyter_turbopilot.suggestion.scores import DEFAULT

RESULTS = Path(__file__).resolve().parents[1] / "research" / "benchmarks" / "RESULTS.md"
BY_MODEL = "Qwen2.5-Coder 0.5 B with its adapter"  # the row of the default model
PRECISION, SAVED = "precision, whole statements", "keystrokes saved, whole statements"
PROCESSOR = "CPU seconds for 1 000 characters"
KEYSTROKE = 0.2  # seconds between keystrokes
TO_TEXT = 3  # a column of peers.md
SAMPLES, TARGET = 2, 3  # columns, behind the value and its interval
CLASS = 60  # users
SERVED = 7  # users who typed at once on two cores, a row of scale.md
TYPING_SHARE = 0.3  # of a class


def rows(text: str) -> list[tuple[str, list[str]]]:
    """Return every table row as its first cell and the others."""
    found = []
    for line in text.splitlines():
        if line.startswith("|") and not set(line) <= set("|- :"):
            first, *others = (cell.strip() for cell in line.strip("|").split("|"))
            found.append((first, others))
    return found


def figure(begins: str, column: int = 0, below: int = 0) -> str:
    """Return a cell of the first row `begins`, else of the only row that starts so."""
    found = rows(RESULTS.read_text("utf-8"))
    names = [first for first, _ in found]
    places = [at for at, name in enumerate(names) if name == begins][:1]
    places = places or [at for at, name in enumerate(names) if name.startswith(begins)]
    if len(places) != 1:
        raise LookupError(f"{RESULTS.name} has {len(places)} rows that start with {begins!r}.")
    return found[places[0] + below][1][column]


def share(begins: str, column: int = 0, below: int = 0) -> str:
    """Format a share such as 0.71 as a percentage."""
    return f"{float(figure(begins, column, below)) * 100:.0f} %"


def rounded(begins: str, column: int = 0) -> str:
    """Format milliseconds as seconds and megabytes as gigabytes, with one decimal."""
    number, _, unit = figure(begins, column).rpartition(" ")
    return f"{float(number) / 1000:.1f} { {'ms': 's', 'MB': 'GB'}[unit] }"


def table(page: str, begins: str) -> str:
    """Return the table of a page of the results whose head begins so."""
    lines = (RESULTS.parent / "results" / page).read_text("utf-8").splitlines()
    heads = [at for at, line in enumerate(lines) if line.startswith(begins)]
    if len(heads) != 1:
        raise LookupError(f"{page} has {len(heads)} tables that begin with {begins!r}.")
    return "\n".join(takewhile(lambda line: line.startswith("|"), lines[heads[0] :]))


def costs() -> str:
    """Return sentences about memory and time."""
    low, high = _processor()
    browser = float(dict(rows(table("peers.md", "| Steady typing |")))["turbopilot"][TO_TEXT]) / 1000
    return (
        f"The default model adds {rounded('memory that the engine adds')} of memory to the server. On two idle cores, grey text "
        f"appears {browser:.2f} s after the keystroke (median,\nin a browser), and typing five keystrokes a second takes {low:.1f} to {high:.1f} "
        "of one core."
    )


def _processor() -> tuple[float, float]:
    """Return the smallest and the largest share of a core while a user types."""
    seconds = [
        float(values[0]) for first, values in rows(RESULTS.read_text("utf-8")) if first.startswith(PROCESSOR)
    ]
    return min(seconds) / (1000 * KEYSTROKE), max(seconds) / (1000 * KEYSTROKE)


def space() -> str:
    """Return a sentence about the memory and the disk space that the default model needs."""
    model = catalog()[DEFAULT]
    return (
        f"Have {memory_of(model) / MEMORY_SHARE / 1e9:.1f} GB of memory free, so that enough is left for notebooks, and "
        f"{(model.bytes + model.copy_size) / 1e9:.1f} GB of disk space\n"
        "for the download and for a copy of the model that is tuned for notebooks."
    )


def class_costs() -> str:
    """Return what a class needs, extrapolated from the memory of 30 users and from a few users on two cores."""
    megabytes: dict[tuple[str, str], list[float]] = {}
    kind = ""
    for first, (processes, *values) in rows(table("scale.md", "| configuration | processes |"))[1:]:
        kind = first or kind
        megabytes[kind, processes] = [float(value.replace(" ", "")) for value in values]
    total, private = megabytes["an engine in each process", "1"]
    _, engines = megabytes["an engine in each process", "30"]
    _, bare = megabytes["processes without an engine", "30"]
    _, clients = megabytes["processes of users whose engine is that `serve`", "30"]
    service, _ = megabytes["one `serve`, with the sequences of all 30 users", "1"]
    # These were copies with eight bits. Of those with four, each process rearranges a part.
    rearranged = float(figure("of the model file, rearranged by each process").removesuffix(" MB"))
    alone = (total - private + CLASS * ((engines - bare) / 30 + rearranged)) / 1000
    shared = (service + CLASS * (clients - bare) / 30) / 1000
    low, high = _processor()
    return (
        f"| a class of {CLASS} | a model in each user's server | one service |\n| --- | --- | --- |\n"
        f"| memory in addition to Jupyter's | {alone:.0f} GB | {shared:.0f} GB |\n"
        f"| cores | {low:.1f} to {high:.1f} for each user who types | {_cores(TYPING_SHARE)}, or {_cores(1.0)} if all type at once |\n\n"
        "Both columns assume one shared model file. The values are extrapolated from [30 users](../research/benchmarks/results/scale.md) and from [two cores](../research/benchmarks/results/scale.md#students),\n"
        f"which served {SERVED} simulated students who typed at once: a class of {SERVED / TYPING_SHARE:.0f} if three of ten type.\n{_lightest()}\n"
        f"The service uses {service / 1000:.0f} GB of this memory, measured with `c.Turbopilot.sequences_memory = 1024` instead of the "
        f"default 96, and each user's server {(clients - bare) / 30 / 1000:.2f} GB."
    )


def students() -> list[tuple[str, list[str]]]:
    """Return the rows of the measurement of simulated students on two cores."""
    return rows(table("scale.md", "| typing at once | KV caches |"))[1:]


def _lightest() -> str:
    """Return a sentence about the requests of the users on whom the number of cores rests."""
    by_number = dict(students())
    few, (_, most_requests, *_, few_wait, _) = students()[0]
    _, requests, *_, wait, _ = by_number[str(SERVED)]
    return (
        f"The {SERVED} students were the lightest load of all that were measured: each sent {requests} requests a second. Of {few} who sent "
        f"{most_requests} each,\n95 % of the requests at a pause were answered within {few_wait} instead of {wait}."
    )


def cores() -> str:
    """Return the formula for the cores of a service, its measured range, and the load above it."""
    most, values = next((first, values) for first, values in students() if int(first) > SERVED)
    waits, shares = (values[column].removesuffix(" s").split(", ") for column in (-2, -1))
    low, high = sorted(f"{float(share) * 100:.0f}" for share in shares)
    return (
        f"`cores = 2 * users * share that types at the same time / {SERVED}`\n\n"
        f"This was [measured](../research/benchmarks/results/scale.md#students) once with {students()[0][0]} to {most} simulated students on two cores, and nothing "
        f"else: larger machines, other models and users' kernels need more.\n{_lightest()}\n"
        f"For {CLASS} users, of whom {TYPING_SHARE * 100:.0f} % type, it gives {_cores(TYPING_SHARE)} cores. **If all type at once**, as in an exam, it gives "
        f"{_cores(1.0)}: for more than {MAX_THREADS} cores, set `c.Turbopilot.threads`. With too few cores, suggestions come too late for most keystrokes:\n"
        f"of {most} students on two cores, {low} to {high} % of the automatic requests were answered before the next keystroke, and one in twenty "
        f"requests\nat a pause took more than {min(waits)} to {max(waits)} s. The service then [sheds load](#load)."
    )


def _cores(share: float) -> int:
    return math.ceil(2 * CLASS * share / SERVED)


def wrong() -> str:
    """Return an item of a list about wrong suggestions."""
    low, high = _between(PRECISION)
    return (
        f"- Of 100 automatic suggestions, {100 - high} to {100 - low} are wrong for a user who does not wait, {100 - low} in notebooks of 2025 and later. Read "
        "each before you accept it."
    )


def with_kernel() -> str:
    """Return a sentence about first mentions of columns."""
    columns = "first mentions of columns completed"
    return (
        "After the first letter of a column that is new to the notebook, Turbopilot completes its name in "
        f"{share(columns)} of {figure(columns, SAMPLES)}; without the kernel, in {share(columns, below=1)}.\n"
        "The columns had been renamed to unfamiliar words, because the model has seen public data sets."
    )


def kernel_gain() -> str:
    """Return an item of a list about whole notebooks with kernel context."""
    waiting = "keystrokes saved at equal precision, relative to without kernel context"
    typing = "keystrokes saved with kernel context, relative to without, real time"
    return (
        f"- Over whole notebooks, the kernel makes no measurable difference: with it, a user who waits saves {figure(waiting)} times as many keystrokes, one who does "
        f"not wait {figure(typing)} times."
    )


def _between(begins: str) -> tuple[int, int]:
    """Return the smallest and the largest share of the rows that begin so, in percent."""
    shares = [
        float(values[0]) for first, values in rows(RESULTS.read_text("utf-8")) if first.startswith(begins)
    ]
    return round(100 * min(shares)), round(100 * max(shares))


def gains() -> str:
    """Return the table of measurements with a user who does not wait."""
    columns = "first mentions of columns completed"
    saved, right = ("{} to {} %".format(*_between(name)) for name in (SAVED, PRECISION))
    return "\n".join(
        [
            "| measured with the default model | |",
            "| --- | --- |",
            f"| keystrokes saved by a simulated user who types one keystroke every 200 ms and does not wait | {saved} |",
            f"| precision for this user: share of the shown suggestions that were correct | {right} |",
            f"| unfamiliar columns completed after one letter, with the kernel | {share(columns)} |",
            f"| the same without the kernel | {share(columns, below=1)} |",
        ]
    )


def quality() -> str:
    """Return a sentence about precision and keystrokes saved."""
    saved, right = ("{} to {} %".format(*_between(name)) for name in (SAVED, PRECISION))
    return (
        f"For a simulated user who types one keystroke every 200 ms and does not wait, {right} of the suggestions were correct.\nAccepting them saved {saved} "
        "of the keystrokes. The values depend on the notebooks and on the machine."
    )


def llama_server() -> str:
    """Return sentences that compare the speed with llama-server's."""
    whole, infill = (f"mean time per keystroke, `{route}`" for route in ("turbopilot/complete", "/infill"))
    eight, fifty = (
        f"{clients} with separate caches, tokens per second" for clients in ("eight editors", "fifty clients")
    )
    return (
        f"A keystroke takes {figure(whole)} of llama-server's time, and {figure(infill)} over llama.cpp's own protocol (more than 1 on another\nmachine; "
        f"the target of {figure(infill, TARGET)} was missed). Eight editors at once get {figure(eight)} of its tokens per "
        f"second, fifty clients {figure(fifty)}:\nboth targets ({figure(eight, TARGET)} and {figure(fifty, TARGET)}) were missed."
    )


def larger_model() -> str:
    """Return a sentence that compares the 1.5 B model with the default."""
    begins = "keystrokes saved by the 1.5 B model"
    typing = float(figure(f"{begins}, idle machine")) / float(figure("keystrokes saved, idle machine"))
    return (
        f"For a user who types one keystroke every 200 ms on two cores, `qwen2.5-coder-1.5b` saved {typing:.2f} times as many keystrokes as the default model;\n"
        f"for one who types three times as slowly, {figure(f'{begins} with a key every 600 ms')} times, and for one who waits for each "
        f"suggestion, {figure(f'{begins}, relative to the default')} times as many.\n"
        "It gains nothing for ghost text, although more of its suggestions are right; it writes better whole functions."
    )


def fixes() -> str:
    """Return sentences about the accuracy and the time of fixes and renames."""
    right, renamed, edits = (
        "first fix right",
        "renames that change all uses",
        "real edits between two versions",
    )
    return (
        f"Faults were put at random places: {share('fixes shown, of errors')} of "
        f"{figure('fixes shown, of errors', SAMPLES)} got a fix.\n"
        f"Of {figure(right, SAMPLES)}, {float(figure(right)) * 100:.1f} % were right at once. "
        "After errors that have no fix, a wrong one\nappeared in "
        f"{figure('fixes shown where none is right')} of the cases. "
        f"{share(renamed)} of\n{figure(renamed, SAMPLES)} changed every use and nothing else. An answer took "
        f"{figure('time from request to answer')} (95th percentile), the first one of a kernel\n"
        f"{figure('the same for the first request of a kernel')}. Between two versions of notebooks of ten packages, "
        f"{share(edits)} of {figure(edits, SAMPLES)} that were\noffered were right, and "
        f"{share('the same: found, of the other changes')} of the other changes that the authors made alike were found: "
        "whole statements that are added\nor removed are not."
    )


def imports() -> str:
    """Return a sentence about the correctness of imports."""
    right = figure("hidden lines that can be shown with the correct import")
    wrong = figure("hidden lines that would be shown with a wrong import")
    return (
        f"With other notebooks of the same package in the index, {right} of the lines that need an import got the correct\n"
        f"one, and {wrong} a wrong one; with the table of names alone, {figure('the correct import, with the table')}."
    )


def eagerness() -> str:
    """Return the table of eagerness settings."""
    default = next(one for one in measured() if one.model == DEFAULT and not one.without_adapter)
    kinds = {
        "quiet": ("*quiet*", "fewer suggestions, most of them correct"),
        "balanced": (
            "*balanced*, the default",
            "suggestions that are more likely correct than wrong",
        ),
        "eager": ("*eager*", "more suggestions, about four in ten of them wrong"),
    }
    lines = [
        f"| {name} | {shows} | {default.eagerness[key].precision * 100:.0f} % "
        f"| {default.eagerness[key].saved * 100:.0f} % |"
        for key, (name, shows) in kinds.items()
    ]
    head = ["| | shows | precision | keystrokes saved |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *lines, "| *always* | every suggestion that passes the checks | | |"])
