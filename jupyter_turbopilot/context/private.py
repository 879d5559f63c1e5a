"""What a model never gets as context: credential files, and lines that look like secrets. Pure."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from jupyter_turbopilot.bounds import LINE

_FILES = re.compile(
    r"""^(\.env(\..*)?|.*\.env|\.netrc|_netrc|\.pgpass|\.npmrc|\.pypirc|\.git-credentials|\.htpasswd
    |id_(rsa|dsa|ecdsa|ed25519)(\.pub)?|.*\.(pem|key|p12|pfx|jks|keystore|kdbx|ppk|asc|gpg)
    |credentials(\.\w+)?|secrets?(\.\w+)?|(?=.*\.json$).*service_account.*|.*\.tfvars|known_hosts|authorized_keys)$""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
LONGEST_PATH = 4096
SHORTEST = 9  # characters: `://a:bcd@`
_FOLDERS = {".ssh", ".aws", ".gnupg", ".azure", ".kube", ".docker"}
# A name that suggests a secret, to its end. `\w` has no `-`: names with one have a pattern of their own.
_NAMED = (
    re.compile(
        r"(?:pass|pwd|secret|token(?!i[sz])|api_?key|access_?key|private_?key|credential|auth(?!or))\w*+",
        re.IGNORECASE,
    ),
    re.compile(r"(?<!sa)creds?(?![a-z])\w*+", re.IGNORECASE),
    re.compile(r"(?:api|access|private)-key\w*+", re.IGNORECASE),
)
_AFTER_NAME = re.compile(r"(?<=\w)[\"']?+\]?+\s*+(?=[=:(])")
_VALUE = re.compile(r"[=:(](?=\s*+[rbf]?[\"'][^\"'\n]{4})", re.IGNORECASE)
_KEY = re.compile(
    r"""-----BEGIN\ [A-Z ]*PRIVATE\ KEY
    |\b(?:gh[pousr]_[A-Za-z0-9]{20}|github_pat_\w{20}|sk-[A-Za-z0-9_-]{20}|hf_[A-Za-z0-9]{20}
       |xox[abprs]-[A-Za-z0-9-]{10}|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{30}
       |[rs]k_(?:live|test)_(?=[a-z]*+[0-9])[a-z0-9]{10}|hooks\.slack\.com/\w++/\w)
    |\bauthorization["']?:\s*["']?\w+\s[A-Za-z0-9._~+/=-]{8}
    |://[^/\s:@]+:[^/\s:@]{3,}+@""",
    re.IGNORECASE | re.VERBOSE,
)
# A text given to `login`, and one behind another value where a name and a password stand together.
_LOGIN = re.compile(
    r"""(?:(?<!def\ )(?<![@\w])login\((?:[^\n]{0,64}?,)?
    |(?:auth|creds?|credentials?)(?:\s*+=\s*+[(\[]|\()[^\n]{0,64}?,)
    \s*+(?:\w{1,32}+\s*+=\s*+)?[rbf]?["'][^"'\n]{4}""",
    re.IGNORECASE | re.VERBOSE,
)
_LONG_VALUE = re.compile(r"""["']([A-Za-z0-9+/_=-]{32,64})""")
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f-]{32}")
_TURN = re.compile(r"[a-z](?=[A-Z0-9])|[0-9](?=[A-Za-z])|[A-Z](?=[0-9])")
_OPEN = ("=", "(", "[", "{", "\\", '":', "':")  # at the end of a line: what it says goes on
_OPENING = re.compile(r"(?<=[=:])[\s(\[{\\]+")
_MOST_A_TURN = 4  # characters of a random value for each turn; words have more
_WEB_TOKEN = re.compile(r"\beyJ[\w-]{10,}+", re.IGNORECASE)
_WEB_TOKEN_REST = re.compile(r"\.[\w-]{10,}+\.")


def is_private_path(path: str) -> bool:
    """Tell whether a file with this path probably holds credentials."""
    parts = PurePosixPath(path[-LONGEST_PATH:].replace("\\", "/")).parts
    return bool(parts) and (bool(_FILES.match(parts[-1])) or any(part in _FOLDERS for part in parts[:-1]))


def looks_secret(line: str) -> bool:
    """Tell whether a line seems to contain a secret; a line too long to check counts as one that does."""
    if not SHORTEST <= len(line) <= LINE:
        return len(line) > LINE
    if _KEY.search(line) or _LOGIN.search(line) or any(map(_is_random, _LONG_VALUE.findall(line))):
        return True
    if any(_WEB_TOKEN_REST.match(line, token.end()) for token in _WEB_TOKEN.finditer(line)):
        return True
    return any(_is_assigned(line, [name.end() for name in pattern.finditer(line)]) for pattern in _NAMED)


def _is_random(value: str) -> bool:
    """Tell whether a long value is hexadecimal, or letters and digits in no order."""
    if not (any(map(str.isdigit, value)) and any(map(str.isalpha, value))):
        return False
    return bool(_HEXADECIMAL.match(value)) or len(_TURN.findall(value)) * _MOST_A_TURN > len(value)


def _is_assigned(line: str, ends: list[int]) -> bool:
    """Tell whether a quoted text is assigned to one of the names that end at these positions."""
    if not ends:
        return False
    values = [value.start() for value in _VALUE.finditer(line)]
    at, stop = 0, -1
    for end in ends:
        after = _AFTER_NAME.match(line, end)
        if not after:
            continue
        sign = after.end()
        while at < len(values) and values[at] < sign:
            at += 1
        if at == len(values):
            return False
        if values[at] == sign:
            return True
        if line[sign] == ":":  # an annotation may stand between the name and the equals sign
            if stop < sign:
                stop = _end_of_annotation(line, sign)
            if values[at] <= stop:
                return True
    return False


def _end_of_annotation(line: str, start: int) -> int:
    ends = (at for sign in "=\n" if (at := line.find(sign, start)) >= 0)
    return min(ends, default=len(line))


def without_secrets(source: str) -> str:
    """Return a text without its lines that look like secrets."""
    lines = source.splitlines(keepends=True)
    return "".join(line for line in lines if not looks_secret(line))


def without_spread_secrets(source: str) -> str:
    """Return a text without its lines that look like secrets, alone or with the lines after them.

    What is kept for longer than a request is looked at so: a name and what it is set to may stand on several.
    """
    lines = source.splitlines(keepends=True)
    secret = {number for number, line in enumerate(lines) if looks_secret(line)}
    code = [number for number, line in enumerate(lines) if line.strip() and number not in secret]
    for at, number in enumerate(code):
        if not lines[number].rstrip().endswith(_OPEN):
            continue
        for some in (code[at : at + 2], code[at : at + 3]):
            joined = _OPENING.sub(" ", " ".join(lines[one].strip() for one in some))
            if len(joined) <= LINE and looks_secret(joined):
                secret.update(range(some[0], some[-1] + 1))
                break
    return "".join(line for number, line in enumerate(lines) if number not in secret)
