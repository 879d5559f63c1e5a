"""Exclusion of secrets from prompts: credential files, and lines that look like secrets. Pure."""

from __future__ import annotations

import re
from collections import Counter
from itertools import accumulate, pairwise
from math import log2
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from jupyter_turbopilot.util.bounds import LINE

if TYPE_CHECKING:
    from collections.abc import Sequence

_FILES = re.compile(
    r"""^(\.env(\..*)?|.*\.env|\.netrc|_netrc|\.pgpass|\.npmrc|\.pypirc|\.git-credentials|\.htpasswd
    |id_(rsa|dsa|ecdsa|ed25519)(\.pub)?|.*\.(pem|key|p12|pfx|jks|keystore|kdbx|ppk|asc|gpg)
    |credentials(\.\w+)?|secrets?(\.\w+)?|(?=.*service_account).*\.json|.*\.tfvars|known_hosts|authorized_keys)$""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
LONGEST_PATH = 4096
SHORTEST = 9  # characters: `://a:bcd@`
_FOLDERS = {".ssh", ".aws", ".gnupg", ".azure", ".kube", ".docker"}
# A name that suggests a secret. `\w` excludes `-`: names with a hyphen have a pattern of their own.
_NAMED = (
    re.compile(
        r"(?:pass|pwd|secret|token(?!i[sz])|api_?key|access_?key|private_?key|credential|auth(?!or)"
        r"|identified\s++by\b)\w*+",
        re.IGNORECASE,
    ),
    re.compile(r"(?<!sa)creds?(?![a-z])\w*+", re.IGNORECASE),
    re.compile(r"(?:api|access|private)-key\w*+", re.IGNORECASE),
)
# A quoted text with the string prefixes of several languages: `br"`, `u8"`, `r#"`, `$'`.
_TEXT = r"""(?:[bflrtu]{1,2}\#?|u8|[@$])?\\?(?:"{3}|'{3}|["'])[^"'\n]{4}"""
# Text allowed between a name and the sign: a quote as in JSON, brackets, the `?` of TypeScript.
_AFTER_NAME = re.compile(r"(?<=\w)\\?+[\"']?+[\]}]{0,2}+(?:\[\])?+\??+\s*+(?=<?<-|[=(]|:(?!:))")
_VALUE = re.compile(rf"(?:<?<-|=>?|[:(])(?=\s*+(?:(?:str)?\(\s*+)?(?:{_TEXT}|`[^`\n]{{4}}))", re.IGNORECASE)
_BESIDE = re.compile(r"(?<=\w)\s++[bnx]?[\"']([^\"'\n]{4,256})[\"']", re.IGNORECASE)
# A value without quotes, or a quoted one after a quoted name, with the separator before it.
_BARE = re.compile(
    r"""(?<=\w)(?P<sign>=|["']?:\s*+|\\?["']\s*+,\s*+\\?["']|\s++)
    (?P<value>[^\s"'`;&|\\,(){}\[\]<>=$]{6,256}+)={0,2}(?=[\s"'`;&|\\]|\Z)""",
    re.VERBOSE,
)
_REACH = 40  # characters before a name that are searched
_OPTION = re.compile(r"(?<![\w-])--?[A-Za-z0-9_-]*+\Z")
_VARIABLE = re.compile(r"\$\{?[A-Za-z0-9_]*+\Z")
_SHELL = re.compile(r"(?:export|set|SET|setenv|env|ENV|set_env)\s")
_CURL = re.compile(r"(?<!\w)curl(?!\w)")
_CURL_USER = re.compile(
    r"""(?<![\w-])(?:-[uU]|--user|--proxy-user)(?:["'],)?[\s=]{0,8}+["']?[^\s=:"'$<>{}()]{1,64}+:(?!//)
    ([^\s"'$<>{}]{4,256}+)""",
    re.VERBOSE,
)
# R also assigns to the right. A name with a capital and then small letters is a type: `"+" -> TokenPlus`.
_TO_THE_RIGHT = re.compile(
    r"""(?:^|[;{])[\s(]*+["'][^"'\n]{4,256}["'][\s)]*+->>?\s*+
    `?([a-z][\w.$@"'\[\]]{0,63}+|[A-Z][A-Z0-9_.]{0,63}+)`?\s*+(?:[;}#]|\Z)""",
    re.VERBOSE,
)
# MySQL's clients and sshpass take a password after `-p`, in a command or in an argument list.
_OPTION_VALUE = r"""(?='[^'\n]{4,256}'|["']?(?=[^\s"'A-Za-z]{0,64}+[A-Za-z]|[0-9]{6})[^\s"'$<>{}|&;:]{4})"""


def _following(name: str, value: str, separator: str = r"\n", flags: int = re.IGNORECASE) -> re.Pattern[str]:
    """Return a pattern for `_is_followed`, which matches names, values, and the separators between them."""
    return re.compile(rf"(?P<name>{name})|(?P<value>{value})|{separator}", flags | re.VERBOSE)


# `docker exec` runs a client after other arguments.
_EXEC = re.compile(r"(?<!\w)exec\s")
_CLIENT, _CLIENT_AFTER_EXEC = (
    _following(
        rf"""(?:^|[|;&(!"'`%]{start})\s*+(?:sudo\s++)?(?:/(?:\w*+/)++)?
        (?:mysql|mariadb)[a-z_-]{{0,16}}+(?:\.exe)?["']?[\s,]""",
        rf"""(?<=[\s"'])-p(?=\S)(?!["'],){_OPTION_VALUE}""", "[|;&]", 0)
    for start in ("", r"|(?<!\s)(?=\s)")
)  # fmt: skip
_SSHPASS = _following(
    r"""(?<!\w)sshpass["']?[\s,]""", rf"""(?<=[\s"'])-p["']?[\s,]*+{_OPTION_VALUE}""", "[|;&]", 0
)
# A key and its value, as in YAML.
_PAIR = re.compile(
    r"""\A[ \t]*+(?:\#[ \t]*+)?(?:-[ \t]++)?["']?[\w.-]{0,64}?(?:pass(?:word|wd|phrase)?|pwd|secret|token
    |(?:api|access|private|secret)[_-]?key)["']?[ \t]*+:[ \t]++
    ([^\s"'`,;|\\()\[\]{}<>=]{8,256}={0,2})\s*+(?:\#.*)?\Z""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
# Values that are types or attributes: `Int64Array`, `OAuth2Token`, `types.String50`.
_TYPE = re.compile(
    r"""\A(?:[A-Za-z_]*(?:8|16|32|64|128|256|512)[A-Za-z_]*|[A-Z][A-Za-z]*[0-9][A-Z][A-Za-z]*
    |[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+)\Z""",
    re.VERBOSE,
)
_KEY = re.compile(
    r"""-----BEGIN\ [A-Z ]*PRIVATE\ KEY
    |\b(?:gh[pousr]_[A-Za-z0-9]{20}|github_pat_\w{20}|sk-[A-Za-z0-9_-]{20}|hf_[A-Za-z0-9]{20}
       |xox[abprs]-[A-Za-z0-9-]{10}|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{30}
       |[rs]k_(?:live|test)_(?=[a-z]*+[0-9])[a-z0-9]{10}|hooks\.slack\.com/\w++/\w)
    |\bauthorization["']?:\s*+["']?\w++\s[A-Za-z0-9._~+/=-]{8}
    |://[^/\s:@]++:[^/\s:@]{3,}+@""",
    re.IGNORECASE | re.VERBOSE,
)
# Each match of `_KEY` and of the patterns for names contains one of these parts in lower case.
_IN_KEYS = ("-----begin", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "sk-", "hf_", "xox", "akia",
            "aiza", "k_live_", "k_test_", "hooks.slack", "authorization", "://")  # fmt: skip
_IN_NAMES = ("pass", "pwd", "secret", "token", "key", "cred", "auth", "identified", "login", "pw", "psw")
# Service keys with a unique format. Each contains a long word, which most lines lack.
_TOKEN = re.compile(
    r"""(?<![A-Za-z0-9])(?:glpat-[\w-]{20}|A(?:SIA|BIA|CCA)[A-Z0-9]{16}(?![A-Za-z0-9])|npm_[A-Za-z0-9]{36}
    |pypi-AgE[\w-]{50}|SG\.[\w-]{20,24}\.[\w-]{39}|(?:SK|AC|dapi)[0-9a-f]{32}|ya29\.[\w-]{20}|GOCSPX-[\w-]{20}
    |[0-9]{8,10}:AA[\w-]{33}|[MNO][\w-]{23,25}\.[\w-]{6}\.[\w-]{27}|do[opr]_v1_[0-9a-f]{64}
    |shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|[0-9a-f]{32}-us[0-9]{1,2}(?![0-9])|gsk_[A-Za-z0-9]{40}|nvapi-[\w-]{40}
    |glsa_[A-Za-z0-9]{32}|dckr_pat_[\w-]{20}|hvs\.[\w-]{20}|whsec_[A-Za-z0-9]{24}
    |(?:r8_|pplx-|pcsk_|lin_api_|ntn_|pscale_tkn_|figd_|xai-|sntrys_|PMAK-|NRAK-|ATATT3|tvly-|lsv2_(?:pt|sk)_
       |vercel_blob_rw_|AGE-SECRET-KEY-1|dp\.st\.|sk\.eyJ)[\w.-]{20}
    |pat[A-Za-z0-9]{14}\.[0-9a-f]{64}|discord(?:app)?\.com/api/webhooks/[0-9]++/[\w-]{20})""",
    re.VERBOSE | re.ASCII,
)
_LONG_WORD = re.compile(r"[A-Za-z0-9_-]{20}")
# A text passed to `login`, and one after another value where a name and a password appear together.
_CALL = r"(?<!def\ )(?<![@\w])login\("
_LOGIN = _following(
    rf"{_CALL}|(?:auth|creds?|credentials?)(?:\s*+=\s*+[(\[]|\()",
    rf"(?:,|(?<={_CALL}))\s*+(?:\w{{1,32}}+\s*+=\s*+)?(?={_TEXT})",
)
# More names that suggest a secret.
_NAMED_HERE = re.compile(
    r"(?:(?<![a-z])(?:pw|psw)(?![a-z])"
    r"|(?:(?:en|de)crypt(?:ion)?|sign(?:ing)?|master|licen[cs]e|subscription|consumer|hmac|jwt|fernet|aes|django"
    r"|flask|openai|wandb|stripe)_?key(?![a-z]))\w*+",
    re.IGNORECASE,
)
# A quoted text assigned to a name that ends in `key`.
_KEYED = re.compile(
    r"""key["'\])]{0,3}+\s*+(?::\s*+\w++\s*+)?+(?:<-|[=:])\s*+[bru]{0,2}+["']([^"'\s]{8,256}+)["']""",
    re.IGNORECASE,
)
_SYMBOLS = re.compile(r"[!#$%&*?@^~]")
_LEAST = 16  # characters of a key without symbols
# A compared password, a default, the second argument of a call, or a word in a command.
_BARE_WORD = r"""(?![-<{(/~"'`\[]|\$[A-Za-z0-9({])[^\s"'`]{6}"""
_CLEAR_NAME = r"(?:pass(?:word|wd|phrase)?|pwd|pw|secret)"
_ELSEWHERE = re.compile(
    rf"""{_CLEAR_NAME}["'\])]{{0,3}}+\s*+[!=]==?\s*+[bru]{{0,2}}+["'][^"'\n]{{4}}
    |^[!%\s]*+(?:export|set|setenv|env)\s[^\n=]{{0,64}}?(?:{_CLEAR_NAME}|token)={_BARE_WORD}
    |^[!%].{{0,256}}?\s--[\w-]{{0,32}}?(?:{_CLEAR_NAME}|token)[=\s]\s*+{_BARE_WORD}""",
    re.IGNORECASE | re.VERBOSE,
)
_QUOTED = r"(?=[\"'][^\"'\n]{4})"
_DEFAULT = _following(
    rf"{_CLEAR_NAME}(?![a-z])",
    rf"(?<![a-z])(?:or\s|(?:default|value)\s*+=)\s*+[bru]{{0,2}}+{_QUOTED}",
)
_SET_PASSWORD = _following(r"set_password\(", rf",\s*+{_QUOTED}")
_VARIABLE_NAME = _following(
    r"(?:setdefault|putenv|setenv|getenv|environ\.get)\(\s*+[\"']",
    rf"(?:{_CLEAR_NAME}|token|(?:api|access)_?key)[\"']\s*+,\s*+{_QUOTED}",
    r"[\"']",
)
# Several names assigned at once, and the parts of their values.
_SEVERAL = re.compile(
    r"""\A\s*+(?:(?:const|let|var|my|local)\s++)?+[(\[]?+\s*+[\w.$]++(?:\s*+,\s*+[\w.$]++)++\s*+[)\]]?+\s*+:?+=(?!=)\s*+"""
)
_PART = re.compile(r""""[^"\n]*+"|'[^'\n]*+'|[()\[\]{},]""")
_SHORTEST_TEXT = 6  # characters, with its quotes
_ENTROPY = 4.5  # bits for each character of a random value in Base64; words have about 4
_LONG_VALUE = re.compile(r"""["']([A-Za-z0-9+/_=-]{32,64})""")
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f-]{32}")
_TURN = re.compile(r"[a-z](?=[A-Z0-9])|[0-9](?=[A-Za-z])|[A-Z](?=[0-9])")
# Line endings of an unfinished statement.
_OPEN = ("=", "<-", "=>", "(", "[", "{", "\\", '":', "':", '"""', "'''")
_COMMENT = ("# ", "//", "-- ")
_OPENING = re.compile(r"(?<=[=:>-])[\s(\[{]+")
_MORE = re.compile(r"[bflrtu]{0,2}[\"'][^\"'\n]*+[\"']?+[\s)\]},;\\]*+", re.IGNORECASE)
_DIGIT, _LETTER = re.compile(r"[0-9]"), re.compile(r"[A-Za-z]")
_SMALL, _CAPITAL = re.compile(r"[a-z]"), re.compile(r"[A-Z]")
_SHORT = 7  # characters of a word with a digit that may be a name: `sha256`, `urllib2`
_MOST_A_TURN = 4  # characters of a random value for each turn; words have more
FOLDED = re.compile("[İıſ\u212a]")  # match i, s or k if case is ignored
_WEB_TOKEN = re.compile(r"\beyJ[\w-]{10,}+", re.IGNORECASE)
_WEB_TOKEN_REST = re.compile(r"\.[\w-]{10,}+\.")


def is_private_path(path: str) -> bool:
    """Return whether a file with this path probably contains credentials."""
    parts = PurePosixPath(path[-LONGEST_PATH:].replace("\\", "/")).parts
    return bool(parts) and (bool(_FILES.match(parts[-1])) or any(part in _FOLDERS for part in parts[:-1]))


def looks_secret(line: str) -> bool:
    """Return whether a line seems to contain a secret; a line too long to check counts as one."""
    if not SHORTEST <= len(line) <= LINE:
        return len(line) > LINE
    # Most lines contain none of the required parts, and searching for plain text is much faster. Lines with a
    # character that patterns match as an ASCII letter are always searched.
    lowered = "" if not line.isascii() and FOLDED.search(line) else line.lower()
    return bool(
        (_may_have(lowered, _IN_KEYS) and _KEY.search(line))
        or (_LONG_WORD.search(line) and _TOKEN.search(line))
        or any(map(_is_random, _LONG_VALUE.findall(line)))
        or (_may_have(lowered, ("eyj",)) and _has_web_token(line))
        or (_may_have(lowered, ("-u",)) and _has_user(line))
        or ("-p" in line and _has_option(line))
        or (_may_have(lowered, _IN_NAMES) and _has_named_value(line))
    )


def _may_have(lowered: str, parts: tuple[str, ...]) -> bool:
    """Return whether a line has one of these parts; an empty line means unknown."""
    return not lowered or any(part in lowered for part in parts)


def _has_web_token(line: str) -> bool:
    return any(_WEB_TOKEN_REST.match(line, token.end()) for token in _WEB_TOKEN.finditer(line))


def _has_user(line: str) -> bool:
    """Return whether a command contains a user name with a password."""
    user = _CURL_USER.search(line)
    return bool(user and (_CURL.search(line) or _is_chosen(user[1])))


def _has_option(line: str) -> bool:
    """Return whether a command contains `-p` with a password."""
    client = _CLIENT_AFTER_EXEC if _EXEC.search(line) else _CLIENT
    return _is_followed(line, client, 256) or _is_followed(line, _SSHPASS, 64)


def _is_followed(line: str, pattern: re.Pattern[str], reach: int) -> bool:
    """Return whether a value follows a name within `reach` characters.

    A pattern for both would search the same characters again for each name.
    """
    end = -LINE
    for found in pattern.finditer(line):
        if found.lastgroup != "value":
            end = found.end() if found.lastgroup else -LINE
        elif found.start() - end <= reach:
            return True
    return False


def _has_named_value(line: str) -> bool:
    """Return whether a value is paired with a name that suggests a secret."""
    names = [found for pattern in (*_NAMED, _NAMED_HERE) if (found := [*pattern.finditer(line)])]
    return bool(
        _is_followed(line, _LOGIN, 64)
        or ("->" in line and any(map(_is_named, _TO_THE_RIGHT.findall(line))))
        or (names and (_is_pair(line) or _is_elsewhere(line)))
        or any(_reveals(line, found) for found in names)
        or any(_is_strong(keyed[1]) for keyed in _KEYED.finditer(line))
    )


def _is_elsewhere(line: str) -> bool:
    """Return whether a text is compared with a password, is its default, or is passed with it."""
    return bool(_ELSEWHERE.search(line)) or any(
        _is_followed(line, pattern, reach)
        for pattern, reach in ((_DEFAULT, 128), (_SET_PASSWORD, 128), (_VARIABLE_NAME, 64))
    )


def _is_named(text: str) -> bool:
    return any(pattern.search(text) for pattern in (*_NAMED, _NAMED_HERE))


def _is_pair(line: str) -> bool:
    """Return whether a line is a key-value pair, as in YAML, whose value looks like a password."""
    found = _PAIR.match(line)
    if not found or not _is_chosen(value := found[1]) or _TYPE.match(value):
        return False
    return "/" not in value or _is_random(value)  # else a path


def _is_random(value: str) -> bool:
    """Return whether a long value is hexadecimal, or letters and digits in random order."""
    if not (any(map(str.isdigit, value)) and any(map(str.isalpha, value))):
        return False
    turns = len(_TURN.findall(value))
    if _HEXADECIMAL.match(value) or turns * _MOST_A_TURN > len(value):
        return True
    # The alphabet also has a high entropy, but hardly a change between kinds of characters.
    return 2 * turns * _MOST_A_TURN > len(value) and _entropy(value) > _ENTROPY


def _entropy(value: str) -> float:
    """Return the Shannon entropy of a text in bits for each character."""
    return sum(-count / len(value) * log2(count / len(value)) for count in Counter(value).values())


def _is_strong(value: str) -> bool:
    """Return whether a value looks like a generated key: several kinds of characters, no words."""
    if not (_DIGIT.search(value) and _LETTER.search(value)) or "://" in value:
        return False
    symbols = set(_SYMBOLS.findall(value))
    if len(symbols) > 1 or (symbols and _SMALL.search(value) and _CAPITAL.search(value)):
        return True
    return len(value) >= _LEAST and _is_random(value)


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


def _before(line: str, name: re.Match[str]) -> str:
    return line[max(0, name.start() - _REACH) : name.start()]


def _is_beside(line: str, name: re.Match[str]) -> bool:
    """Return whether a quoted text follows a name, as in SQL or after `#define`."""
    found = _BESIDE.match(line, name.end())
    if not found or "://" in found[1] or _VARIABLE.search(_before(line, name)):
        return False
    # In lower case it may be prose: "no such token 'x'".
    return not _SMALL.search(name[0]) or (_is_chosen(found[1]) and " " not in found[1])


def _is_bare(line: str, name: re.Match[str]) -> bool:
    """Return whether an unquoted value follows a name, as in a shell, a URL, a header or a pair."""
    found = _BARE.match(line, name.end())
    if not found or not _LETTER.search(value := found["value"]):
        return False
    sign, before = found["sign"], _before(line, name)
    in_shell = bool(_OPTION.search(before) or _SHELL.match(line.lstrip(" \t!%")))
    if _VARIABLE.search(before) or (sign.isspace() and not in_shell):
        return False
    if "." in value or "://" in value or value[0] in "/~" or ":" in sign:
        # A path, an attribute or a type: most consist of words.
        return len(value) > _SHORT and _is_random(value)
    if in_shell and sign == "=":
        return len(value) > _SHORT or bool(_DIGIT.search(value))
    is_name = "_" in value or any(pattern.match(value) for pattern in _NAMED)
    return _is_chosen(value) and not (is_name and _SMALL.search(name[0]))


def _is_assigned(line: str, ends: list[int]) -> bool:
    """Return whether a quoted text is assigned to a name that ends at one of these positions."""
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
        if line[sign] == ":":  # an annotation may separate the name and the equals sign
            if stop < sign:
                stop = _end_of_annotation(line, sign)
            if values[at] <= stop:
                return True
    return False


def _is_unpacked(line: str, names: list[re.Match[str]]) -> bool:
    """Return whether a quoted text is assigned to one of these names in `user, pwd = "bob", "…"`."""
    found = _SEVERAL.match(line)
    if not found:
        return False
    commas = [*accumulate(sign == "," for sign in line[: found.end()])]
    wanted = {commas[name.start()] for name in names if name.start() < found.end()}
    base = int(line[found.end() : found.end() + 1] in ("(", "["))
    depth = place = 0
    for part in _PART.finditer(line, found.end()):
        if part[0] in "([{":
            depth += 1
        elif part[0] in ")]}":
            depth -= 1
        elif depth != base:
            continue
        elif part[0] == ",":
            place += 1
        elif place in wanted and len(part[0]) >= _SHORTEST_TEXT:
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
    """Return a text without its lines that look like secrets, alone or joined with the following lines.

    For text that is kept longer than a request: a name and its value may be on separate lines.
    """
    lines = source.splitlines(keepends=True)
    secret = spread_secrets(lines)
    return "".join(line for number, line in enumerate(lines) if number not in secret)


def spread_secrets(lines: Sequence[str]) -> set[int]:
    """Return the numbers of the lines that look like secrets, alone or joined with the following lines."""
    secret = {number for number, line in enumerate(lines) if looks_secret(line)}
    code = [at for at, line in enumerate(lines) if (text := line.strip()) and not text.startswith(_COMMENT)]
    others = [number for number in code if number not in secret]
    for at, number in enumerate(others):
        if not lines[number].rstrip().endswith(_OPEN):
            continue
        for some in (others[at : at + 2], others[at : at + 3]):
            joined = _OPENING.sub(" ", " ".join(lines[one].strip().rstrip("\\") for one in some))
            if len(joined) <= LINE and looks_secret(joined):
                secret.update(range(some[0], some[-1] + 1))
                break
    for above, number in pairwise(code):
        # Adjacent string literals are one value.
        if above in secret and _MORE.fullmatch(lines[number].strip()):
            secret.add(number)
    return secret
