"""Grammars that llama.cpp would not survive: its parser recurses, its stacks grow with what repeats. Pure."""

from __future__ import annotations

import re

DEEPEST = 128  # groups within groups; some thousands end the process
MOST = 512  # times that counted repetitions within each other may come to; some thousands never end
_TOKEN = re.compile(
    r"""\#[^\n]*|"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]
    |(?P<rule>[\w-]+)\s*::=|(?P<name>[\w-]+)|(?P<sign>[()])|\{\s*(?P<count>\d+)?\s*(?P<comma>,)?\s*(?P<to>\d+)?\s*\}""",
    re.VERBOSE | re.DOTALL,
)


def trouble(grammar: str) -> str:
    """Say why a grammar is refused; nothing where it is not."""
    rules: dict[str, list[re.Match[str]]] = {}
    current: list[re.Match[str]] = []
    depth = 0
    for token in _TOKEN.finditer(grammar):
        if token["rule"]:
            current = rules.setdefault(token["rule"], [])
            continue
        depth += {"(": 1, ")": -1}.get(token["sign"] or "", 0)
        if depth > DEEPEST:
            return f"The grammar has more than {DEEPEST} groups within each other."
        current.append(token)
    known: dict[str, int] = {}
    for name in rules:
        if _times(name, rules, known, ()) > MOST:
            return f"The grammar repeats repetitions more than {MOST} times."
    return ""


def _times(
    name: str, rules: dict[str, list[re.Match[str]]], known: dict[str, int], asking: tuple[str, ...]
) -> int:
    """Return how often the innermost part of a rule may be repeated by counts."""
    if name in known:
        return known[name]
    if name in asking:
        return 1
    if len(asking) > DEEPEST:
        return MOST + 1  # rules within rules are groups within groups
    open_groups, most, last = [1], 1, 1
    for token in rules.get(name, ()):
        if token["sign"] == "(":
            open_groups.append(1)
            continue
        if token["sign"] == ")":
            last = open_groups.pop() if len(open_groups) > 1 else 1
        elif token["name"]:
            last = _times(token["name"], rules, known, (*asking, name))
        elif token["count"] or token["to"]:
            last *= max(1, min(int(token["to"] or token["count"]), MOST + 1))
        else:
            last = 1
        open_groups[-1] = max(open_groups[-1], last)
        most = max(most, last)
    known[name] = most
    return most
