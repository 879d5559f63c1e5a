"""Format headline numbers of research/benchmarks/RESULTS.md as Markdown, so that all pages agree.

A row measures the quantity in its name before the first comma, or in the head of a column. A headline has the
lowest and the highest value of all rows that measure its quantity.
"""

from __future__ import annotations

import math
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.load.machine import MAX_THREADS
from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.models.recommend import MEMORY_SHARE, measured, memory_of
from jupyter_turbopilot.suggestion.scores import DEFAULT
from jupyter_turbopilot.util.files import describe_size

if TYPE_CHECKING:
    from collections.abc import Iterable

RESULTS = Path(__file__).resolve().parents[1] / "research" / "benchmarks" / "RESULTS.md"
BY_MODEL = "Qwen2.5-Coder 0.5 B with its adapter"  # the row of the default model
QUALITY = "| notebooks | the user |"  # the head of a table
PRECISION, SAVED = "precision", "keystrokes saved"  # its columns
COLUMNS = "first mentions of columns completed"
PROCESSOR = "CPU seconds for 1 000 characters"
KEYSTROKE = 0.2  # seconds between keystrokes
TO_TEXT = "ms to text"  # a column of peers.md
IDLE = (
    "tutorials, *EPYC*, copy in four bits"  # a row of the table, with the same keystrokes as the 1.5 B model
)
PEAK = 5  # the column of the peak memory
TYPED = ("Steady typing", "Typing with pauses", "Slow typing with pauses")  # tables of peers.md
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


def measured_by(quantity: str) -> list[list[str]]:
    """Return the rows of RESULTS.md that measure a quantity, without their names."""
    found = rows(RESULTS.read_text("utf-8"))
    return [cells for name, cells in found if name.partition(",")[0] == quantity]


def table(page: str, begins: str) -> str:
    """Return the table of a page of the results whose head begins so."""
    lines = (RESULTS.parent / page).read_text("utf-8").splitlines()
    heads = [at for at, line in enumerate(lines) if line.startswith(begins)]
    if len(heads) != 1:
        raise LookupError(f"{page} has {len(heads)} tables that begin with {begins!r}.")
    return "\n".join(takewhile(lambda line: line.startswith("|"), lines[heads[0] :]))


def quality(user: str, quantity: str) -> list[tuple[str, float]]:
    """Return the notebooks and the value of each measurement with a user who `waits` or `types`."""
    (_, head), *found = rows(table(RESULTS.name, QUALITY))
    column = head.index(quantity)
    return [(name, float(cells[column])) for name, cells in found if cells[0] == user]


def _percent(values: Iterable[float]) -> tuple[int, int]:
    """Return the smallest and the largest share in percent."""
    shares = [*values]
    return round(100 * min(shares)), round(100 * max(shares))


def costs() -> str:
    """Return a line about memory, disk space and time."""
    low, high = (round(share, -1) for share in _percent(_processor()))
    first, last = (f"{ms / 1000:.2f}" for ms in _to_text())
    return (
        f"**The model takes** {rounded('memory that the engine adds')} of memory, {disk()} of disk and {first} to {last} s for a suggestion. Fast "
        f"typing uses {low} to {high} % of a core."
    )


def costs_measured() -> str:
    """Return a sentence about the measurements behind the line."""
    return (
        "The times to grey text are medians in a browser, on two cores; fast typing is five keystrokes a second, on processors with "
        "AVX-512 and with AVX2."
    )


def _to_text() -> tuple[float, float]:
    """Return the smallest and the largest median of the milliseconds to grey text in a browser."""
    medians = []
    for title in TYPED:
        (_, head), *found = rows(table("results/peers.md", f"| {title} |"))
        column = next(at for at, name in enumerate(head) if name.startswith(TO_TEXT))
        medians.append(float(dict(found)["turbopilot"][column]))
    return min(medians), max(medians)


def _processor() -> tuple[float, float]:
    """Return the smallest and the largest share of a core while a user types."""
    seconds = [float(cells[0]) for cells in measured_by(PROCESSOR)]
    return min(seconds) / (1000 * KEYSTROKE), max(seconds) / (1000 * KEYSTROKE)


def memory() -> str:
    """Return the table of the figures of memory of the default model."""
    estimate = memory_of(catalog()[DEFAULT])
    rows = {
        figure(
            "memory that the engine adds"
        ): "added by the model, its KV cache and the package; measured with a prompt of 40 cells",
        f"{figure('of that, the model file')} of that": "the model's file. All processes of a host share it, except for "
        f"{figure('of the model file, rearranged')} that each rearranges",
        describe_size(
            estimate
        ): "the estimate in the models panel, from the sizes of the file and of the buffers",
        figure(
            BY_MODEL, PEAK
        ): "the highest value of a whole process, with Python, while it evaluated notebooks; measured",
        describe_size(
            estimate / MEMORY_SHARE
        ): "must be free, so that enough is left for notebooks: otherwise the panel shows *Not enough memory*",
    }
    head = ["| memory of the default model | |", "| --- | --- |"]
    return "\n".join([*head, *(f"| {size} | {meaning} |" for size, meaning in rows.items())])


def disk() -> str:
    """Return the disk space of the default model."""
    model = catalog()[DEFAULT]
    return f"{(model.bytes + model.copy_size) / 1e9:.1f} GB"


def class_costs() -> str:
    """Return what a class needs, extrapolated from the memory of 30 users and from a few users on two cores."""
    megabytes: dict[tuple[str, str], list[float]] = {}
    kind = ""
    for first, (processes, *values) in rows(table("results/scale.md", "| configuration | processes |"))[1:]:
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
    return rows(table("results/scale.md", "| typing at once | KV caches |"))[1:]


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
    right = quality("types", PRECISION)
    low, high = _percent(value for _, value in right)
    worst = _plain(min(right, key=lambda one: one[1])[0])
    return (
        f"- Of 100 automatic suggestions, {100 - high} to {100 - low} are wrong for a user who does not wait, {100 - low} in {worst}. Read "
        "each before you accept it."
    )


def _plain(name: str) -> str:
    """Return the name of a set of notebooks without the machine."""
    return name.partition(", *")[0]


def with_kernel() -> str:
    """Return a sentence about first mentions of columns."""
    completed, _, samples, *_ = min(measured_by(COLUMNS))
    (without,) = (cells[0] for cells in measured_by(f"{COLUMNS} without kernel context"))
    return (
        f"Type one letter of a column you have not used yet: Turbopilot completes its name in {float(completed) * 100:.0f} % of {samples}; without the kernel, "
        f"in {float(without) * 100:.0f} %.\n"
        "The columns had been renamed to unfamiliar words, because the model has seen public data sets."
    )


def kernel_gain() -> str:
    """Return an item of a list about whole notebooks with kernel context."""
    waiting = "keystrokes saved at equal precision, relative to without kernel context"
    typing = "keystrokes saved with kernel context, relative to without, real time"
    return (
        "- The kernel helps with columns, but over whole notebooks, its effect on the keystrokes saved is too small to measure: with it, a user who waits saves "
        f"{figure(waiting)} times as many, one who does not wait {figure(typing)} times."
    )


def saved() -> str:
    """Return sentences about keystrokes saved and precision, for a user who waits and for one who does not."""
    lowest, share = min(quality("waits", SAVED), key=lambda one: one[1])
    right = dict(quality("waits", PRECISION))[lowest]
    # The first row has the most repositories.
    (broadest, gain), *others = quality("types", SAVED)
    (_, exact), *exacts = quality("types", PRECISION)
    low, high = _percent(value for _, value in others)
    least, most = _percent(value for _, value in exacts)
    return (
        f"On {_plain(lowest)}, {right * 100:.0f} % of the suggestions were right, and accepting them saved {share * 100:.0f} % of the keystrokes of a\n"
        "simulated user who waits for each one. A user who types five keystrokes a second and does not wait saved "
        f"{gain * 100:.0f} % on {_plain(broadest)}, where\n{exact * 100:.0f} % were right; on others, mostly tutorials, {low} to {high} %, and {least} to {most} % were right."
    )


def larger_model() -> str:
    """Return a sentence that compares the 1.5 B model with the default."""
    begins = "keystrokes saved by the 1.5 B model"
    typing = float(figure(f"{begins}, idle machine")) / dict(quality("types", SAVED))[IDLE]
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


def repairs() -> str:
    """Return a sentence about errors that are corrected, and about those found before the run."""
    shown, right, early = (
        "fixes shown, of errors",
        "first fix right",
        "before the error: findings in cells that run",
    )
    false, found, _ = figure(early).split("; ")
    return (
        f"Faults with a known fix were put into notebooks: of {figure(shown, SAMPLES)}, {share(shown)} got a fix, and "
        f"{float(figure(right)) * 100:.1f} % of the fixes were right. Before the run, "
        f"{found} of {figure(early, SAMPLES).split('; ')[1]} were marked; of {figure(early, SAMPLES).split('; ')[0]} that run, {false} had a mark."
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
