"""What is never sent to a model as context: credential files, and lines that look like secrets. Pure."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_FILES = re.compile(
    r"""^(\.env(\..*)?|.*\.env|\.netrc|_netrc|\.pgpass|\.npmrc|\.pypirc|\.git-credentials|\.htpasswd
    |id_(rsa|dsa|ecdsa|ed25519)(\.pub)?|.*\.(pem|key|p12|pfx|jks|keystore|kdbx|ppk|asc|gpg)
    |credentials(\.\w+)?|secrets?(\.\w+)?|.*_?service_account.*\.json|.*\.tfvars|known_hosts|authorized_keys)$""",
    re.IGNORECASE | re.VERBOSE,
)
_FOLDERS = {".ssh", ".aws", ".gnupg", ".azure", ".kube", ".docker"}
_LINE = re.compile(
    r"""(pass(word|wd|phrase)?|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|auth(?!or))\w*
        ["']?\]?\s*(:[^=\n]*)?[=:(]\s*[rbf]?["'][^"'\n]{4,}
    |-----BEGIN\ [A-Z ]*PRIVATE\ KEY
    |\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|sk-[A-Za-z0-9_-]{20,}|hf_[A-Za-z0-9]{20,}
       |xox[abprs]-[A-Za-z0-9-]{10,}|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{30,}|eyJ[\w-]{10,}\.[\w-]{10,}\.)
    |://[^/\s:@]+:[^/\s:@]{3,}@""",
    re.IGNORECASE | re.VERBOSE,
)


def is_private_path(path: str) -> bool:
    """Tell whether a file by that name holds credentials."""
    parts = PurePosixPath(path.replace("\\", "/")).parts
    return bool(parts) and (bool(_FILES.match(parts[-1])) or any(part in _FOLDERS for part in parts[:-1]))


def looks_secret(line: str) -> bool:
    """Tell whether a line of code or shell seems to spell out a secret."""
    return bool(_LINE.search(line))


def without_secrets(source: str) -> str:
    """Return the text without the lines that look like secrets."""
    if not looks_secret(source):
        return source
    return "".join(line for line in source.splitlines(keepends=True) if not looks_secret(line))
