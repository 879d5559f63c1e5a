"""The code of a cell with `%%complete`, as the user typed it."""

from __future__ import annotations

from itertools import dropwhile

from IPython.core.error import UsageError

MARK = "<|>"


def as_call(lines: list[str]) -> list[str]:
    """Convert `%%complete` to a call before IPython can change the code.

    IPython would remove spaces in empty lines, not run a cell magic without a cell, and treat a question mark
    at the end of an instruction as a request for help.
    """
    first, *below = [*dropwhile(str.isspace, lines)] or [""]
    name, _, options = first.rstrip().partition(" ")
    if name != "%%complete":
        return lines
    if not below:
        return [f"get_ipython().run_line_magic('complete', {options!r})\n"]
    return [f"get_ipython().run_cell_magic('complete', {options!r}, {''.join(below)!r})\n"]


# IPython skips it when it checks whether an input is complete: the first line is typed before the others.
as_call.has_side_effects = True  # type: ignore[attr-defined]


def without_blank_end(cell: str, *, is_indented_by_prompt: bool) -> str:
    """Return a cell without empty lines at its end, except a last one that is indented for another statement.

    At a prompt, where an empty line ends a cell, IPython indents it like the line above.
    """
    lines = cell.removesuffix("\n").split("\n")
    last = lines[-1]
    while len(lines) > 1 and not lines[-1].strip():
        lines.pop()
    begins_block = lines[-1].rstrip().endswith(":")
    is_kept = last and not last.strip() and (begins_block or not is_indented_by_prompt)
    return "\n".join([*lines, last] if is_kept else lines)


def at_mark(code: str) -> tuple[str, int]:
    """Return code without its marker, and the marker's position."""
    if code.count(MARK) != 1:
        raise UsageError(f"--fill needs the marker {MARK} exactly once in the code.")
    return code.replace(MARK, ""), code.index(MARK)
