"""Exclusion of secrets from prompts: files and lines that match the rows of `secrets.toml`. Pure."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections import Counter
from itertools import accumulate, pairwise
from math import log2
from pathlib import Path, PurePosixPath
from typing import Any

from jupyter_turbopilot.util.bounds import LINE

_TABLE: dict[str, Any] = tomllib.loads(Path(__file__).with_name("secrets.toml").read_text("utf-8"))


def _compiled(form: dict[str, Any]) -> re.Pattern[str]:
    pattern = re.sub(r"\{([a-z_]+)\}", lambda part: str(_TABLE["parts"][part[1]]), form["pattern"])
    return re.compile(pattern, re.VERBOSE if form.get("cased") else re.VERBOSE | re.IGNORECASE)


_FORMS = {name: _compiled(form) for name, form in _TABLE["forms"].items()}
_NAMES = tuple(_FORMS[name] for name in ("name", "short_name", "hyphenated_name", "key_name"))
_ROWS = {name: "|".join(row["pattern"] for row in rows) for name, rows in _TABLE["rows"].items()}
_FILE = re.compile(f"^(?:{_ROWS['files']})$", re.IGNORECASE | re.DOTALL)
_FOLDERS = frozenset(_TABLE["folders"])
_KEY = re.compile(rf"{_ROWS['texts']}|\b(?:{_ROWS['keys']})", re.IGNORECASE | re.VERBOSE)
_TOKEN = re.compile(f"(?<![A-Za-z0-9])(?:{_ROWS['tokens']})", re.ASCII)
_LONG_WORD = re.compile(r"[A-Za-z0-9%+/_-]{20}")
LONGEST_PATH = 4096
SHORTEST = 9  # characters: `://a:bcd@`
_WITH_DEFAULTS = ("default", "set_password", "variable_name")
_REACH = 40  # characters before a name that are searched
_LEAST = 16  # characters of a key without symbols
_SHORTEST_TEXT = 6  # characters, with its quotes
_ENTROPY = 4.5  # bits for each character of a random value in Base64; words have about 4
# Line endings of an unfinished statement.
_OPEN = ("=", "<-", "=>", "(", "[", "{", "\\", '":', "':", '"""', "'''")
_COMMENT = ("# ", "//", "-- ")
_DIGIT, _LETTER = re.compile(r"[0-9]"), re.compile(r"[A-Za-z]")
_SMALL, _CAPITAL = re.compile(r"[a-z]"), re.compile(r"[A-Z]")
_SHORT = 7  # characters of a word with a digit that may be a name: `sha256`, `urllib2`
_MOST_A_TURN = 4  # characters of a random value for each turn; words have more
# A private key or a certificate, up to the end of the text if its END line is missing.
ARMOUR = re.compile(
    r"(?:-----BEGIN [A-Z0-9 ]{3,60}-----|---- BEGIN SSH2 ).*?(?:-----END [^\n]*|---- END [^\n]*|\Z)",
    re.DOTALL,
)
FOLDED = re.compile("[İıſ\u212a]")  # match i, s or k if case is ignored


def is_private_path(path: str) -> bool:
    """Return whether a file with this path probably contains credentials."""
    parts = PurePosixPath(path[-LONGEST_PATH:].replace("\\", "/")).parts
    return bool(parts) and bool(_FILE.match(parts[-1]) or not _FOLDERS.isdisjoint(parts[:-1]))


def looks_secret(line: str) -> bool:
    """Return whether a line seems to contain a secret; a line too long to check counts as one."""
    if not SHORTEST <= len(line) <= LINE:
        return len(line) > LINE
    # Most lines contain none of the required parts, and searching for plain text is much faster. Lines with a
    # character that patterns match as an ASCII letter are always searched.
    lowered = "" if not line.isascii() and FOLDED.search(line) else line.lower()
    return bool(
        (_may_have(lowered, _TABLE["in_keys"]) and _KEY.search(line))
        or (_LONG_WORD.search(line) and _TOKEN.search(line))
        or any(map(_is_random, _FORMS["long_value"].findall(line)))
        or (_may_have(lowered, ("eyj",)) and _has_web_token(line))
        or (_may_have(lowered, ("-u",)) and _has_user(line))
        or ("-p" in line and _has_option(line))
        or (_may_have(lowered, _TABLE["in_names"]) and _has_named_value(line))
    )


def _may_have(lowered: str, parts: tuple[str, ...]) -> bool:
    """Return whether a line has one of these parts; an empty line means unknown."""
    return not lowered or any(part in lowered for part in parts)


def _has_web_token(line: str) -> bool:
    rest = _FORMS["web_token_rest"]
    return any(rest.match(line, token.end()) for token in _FORMS["web_token"].finditer(line))


def _has_user(line: str) -> bool:
    """Return whether a command contains a user name with a password."""
    user = _FORMS["curl_user"].search(line)
    return bool(user and (_FORMS["curl"].search(line) or _is_chosen(user[1])))


def _has_option(line: str) -> bool:
    """Return whether a command contains `-p` with a password."""
    client = "client_after_exec" if _FORMS["exec"].search(line) else "client"
    return _is_followed(line, client) or _is_followed(line, "sshpass")


def _is_followed(line: str, form: str) -> bool:
    """Return whether a value follows a name within the `reach` of a form.

    A pattern for both would search the same characters again for each name.
    """
    end, reach = -LINE, _TABLE["forms"][form]["reach"]
    for found in _FORMS[form].finditer(line):
        if found.lastgroup != "value":
            end = found.end() if found.lastgroup else -LINE
        elif found.start() - end <= reach:
            return True
    return False


def _has_named_value(line: str) -> bool:
    """Return whether a value is paired with a name that suggests a secret."""
    names = [found for pattern in _NAMES if (found := [*pattern.finditer(line)])]
    return bool(
        _is_followed(line, "call")
        or any(name.search(text) for text in _FORMS["to_the_right"].findall(line) for name in _NAMES)
        or (names and (_is_pair(line) or _FORMS["compared"].search(line)))
        or (names and any(_is_followed(line, form) for form in _WITH_DEFAULTS))
        or any(_reveals(line, found) for found in names)
        or any(_is_strong(keyed[1]) for keyed in _FORMS["keyed"].finditer(line))
    )


def _is_pair(line: str) -> bool:
    """Return whether a line is a key-value pair, as in YAML, whose value looks like a password."""
    found = _FORMS["pair"].match(line)
    if not found or not _is_chosen(value := found[1]) or _FORMS["type"].match(value):
        return False
    return "/" not in value or _is_random(value)  # else a path


def _is_random(value: str) -> bool:
    """Return whether a long value is hexadecimal, or letters and digits in random order."""
    if not (any(map(str.isdigit, value)) and any(map(str.isalpha, value))):
        return False
    turns = len(_FORMS["turn"].findall(value))
    if _FORMS["hexadecimal"].match(value) or turns * _MOST_A_TURN > len(value):
        return True
    # The alphabet also has a high entropy, but hardly a change between kinds of characters.
    shares = [count / len(value) for count in Counter(value).values()]
    return 2 * turns * _MOST_A_TURN > len(value) and sum(-share * log2(share) for share in shares) > _ENTROPY


def _is_strong(value: str) -> bool:
    """Return whether a value looks like a generated key: several kinds of characters, no words."""
    is_mixed = _DIGIT.search(value) and _LETTER.search(value) and "://" not in value
    symbols = set(_FORMS["symbols"].findall(value))
    is_varied = len(symbols) > 1 or (symbols and _SMALL.search(value) and _CAPITAL.search(value))
    return bool(is_mixed and (is_varied or (len(value) >= _LEAST and _is_random(value))))


def _is_chosen(value: str) -> bool:
    """Return whether a value looks like a chosen password rather than a name."""
    return len(value) > _SHORT and bool(_DIGIT.search(value) and _LETTER.search(value))


def _reveals(line: str, names: list[re.Match[str]]) -> bool:
    """Return whether one of these names is paired with a value."""
    return (
        _is_assigned(line, [name.end() for name in names])
        or _is_unpacked(line, names)
        or any(_is_beside(line, name) or _is_bare(line, name) for name in names)
    )


def _is_beside(line: str, name: re.Match[str]) -> bool:
    """Return whether a quoted text follows a name, as in SQL or after `#define`."""
    found, before = (
        _FORMS["beside"].match(line, name.end()),
        line[max(0, name.start() - _REACH) : name.start()],
    )
    if not found or "://" in found[1] or _FORMS["variable"].search(before):
        return False
    # In lower case it may be prose: "no such token 'x'".
    return not _SMALL.search(name[0]) or (_is_chosen(found[1]) and " " not in found[1])


def _is_bare(line: str, name: re.Match[str]) -> bool:
    """Return whether an unquoted value follows a name, as in a shell, a URL, a header or a pair."""
    found = _FORMS["bare"].match(line, name.end())
    if not found or not _LETTER.search(value := found["value"]):
        return False
    sign, before = found["sign"], line[max(0, name.start() - _REACH) : name.start()]
    in_shell = bool(_FORMS["option"].search(before) or _FORMS["shell"].match(line.lstrip(" \t!%")))
    if _FORMS["variable"].search(before) or (sign.isspace() and not in_shell):
        return False
    if "." in value or "://" in value or value[0] in "/~" or ":" in sign:
        # A path, an attribute or a type: most consist of words.
        return len(value) > _SHORT and _is_random(value)
    if in_shell and sign == "=":
        return len(value) > _SHORT or bool(_DIGIT.search(value))
    is_name = "_" in value or any(pattern.match(value) for pattern in _NAMES[:3])
    return _is_chosen(value) and not (is_name and _SMALL.search(name[0]))


def _is_assigned(line: str, ends: list[int]) -> bool:
    """Return whether a quoted text is assigned to a name that ends at one of these positions."""
    values = [*(value.start() for value in _FORMS["value"].finditer(line)), len(line) + 1]
    stops = [stop.start() for stop in _FORMS["end_of_annotation"].finditer(line)]
    for end in ends:
        if after := _FORMS["after_name"].match(line, end):
            sign = after.end()
            # An annotation may separate the name and the equals sign.
            stop = stops[bisect_left(stops, sign)] if line[sign] == ":" else sign
            if values[bisect_left(values, sign)] <= stop:
                return True
    return False


def _is_unpacked(line: str, names: list[re.Match[str]]) -> bool:
    """Return whether a quoted text is assigned to one of these names in `user, pwd = "bob", "…"`."""
    found = _FORMS["several"].match(line)
    if not found:
        return False
    commas = [*accumulate(sign == "," for sign in line[: found.end()])]
    wanted = {commas[name.start()] for name in names if name.start() < found.end()}
    base = int(line[found.end() : found.end() + 1] in ("(", "["))
    depth = place = 0
    for part in _FORMS["part"].finditer(line, found.end()):
        depth += (part[0] in "([{") - (part[0] in ")]}")
        place += depth == base and part[0] == ","
        if depth == base and place in wanted and len(part[0]) >= _SHORTEST_TEXT:
            return True
    return False


def without_secrets(source: str) -> str:
    """Return a text without its lines that look like secrets."""
    lines = source.splitlines(keepends=True)
    return "".join(line for line in lines if not looks_secret(line))


def without_spread_secrets(source: str) -> str:
    """Return a text without its lines that look like secrets, alone or joined with the following lines.

    For text that is kept longer than a request: a name and its value may be on separate lines.
    """
    lines = source.splitlines(keepends=True)
    secret = spread_secrets(lines)
    return "".join(line for number, line in enumerate(lines) if number not in secret)


def spread_secrets(lines: list[str]) -> set[int]:
    """Return the numbers of the lines that look like secrets, alone or joined with the following lines."""
    secret = {number for number, line in enumerate(lines) if looks_secret(line)}
    code = [at for at, line in enumerate(lines) if (text := line.strip()) and not text.startswith(_COMMENT)]
    others = [number for number in code if number not in secret]
    for at, number in enumerate(others):
        if not lines[number].rstrip().endswith(_OPEN):
            continue
        for some in (others[at : at + 2], others[at : at + 3]):
            joined = _FORMS["opening"].sub(" ", " ".join(lines[one].strip().rstrip("\\") for one in some))
            if len(joined) <= LINE and looks_secret(joined):
                secret.update(range(some[0], some[-1] + 1))
                break
    for above, number in pairwise(code):
        # Adjacent string literals are one value.
        if above in secret and _FORMS["more"].fullmatch(lines[number].strip()):
            secret.add(number)
    return secret
