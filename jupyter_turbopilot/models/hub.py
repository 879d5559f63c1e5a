"""Hugging Face: where a file is, what its publisher says of it, which files a repository has."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

from jupyter_turbopilot.errors import DownloadError
from jupyter_turbopilot.models.connection import connection, in_words, page
from jupyter_turbopilot.models.transfer import RemoteFile, fetch_url, whole_number

if TYPE_CHECKING:
    from collections.abc import Collection

    from jupyter_turbopilot.models.model import HubFile
    from jupyter_turbopilot.models.transfer import Transfer


def _url(source: HubFile) -> str:
    return f"{_endpoint()}/{source.repo}/resolve/{source.revision}/{source.file}"


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _headers() -> dict[str, str]:
    """Return the person's token, where there is one."""
    token = os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _offline() -> bool:
    """Tell whether the person has switched Hugging Face off."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def _refuse_offline() -> None:
    if _offline():
        raise DownloadError(
            "HF_HUB_OFFLINE is set, so nothing is downloaded from Hugging Face. Unset it to download."
        )


def look(source: HubFile, hosts: Collection[str]) -> RemoteFile:
    """Ask for a file's size and digest; nothing is known of it offline."""
    if _offline():
        return RemoteFile()
    with in_words(f"Hugging Face ({source.repo})"), connection(_endpoint(), hosts) as client:
        # The digest stands on the first answer; the storage it points to knows nothing of it.
        answer = client.head(_url(source), headers=_headers(), follow_redirects=False)
        if answer.is_error:
            answer.raise_for_status()
        digest = answer.headers.get("x-linked-etag", "").strip('"')
        return RemoteFile(
            size=whole_number(answer.headers.get("x-linked-size", "")),
            sha256=digest if re.fullmatch(r"[0-9a-f]{64}", digest) else None,
        )


def fetch(source: HubFile, transfer: Transfer) -> None:
    """Fetch a file of a repository."""
    _refuse_offline()
    fetch_url(_url(source), transfer, _headers(), f"Hugging Face ({source.repo})")


def files_of(repository: str, hosts: Collection[str] = ()) -> list[str]:
    """Return the names of a repository's files, those in its first folder."""
    what = f"Hugging Face ({repository})"
    _refuse_offline()
    with in_words(what), connection(_endpoint(), hosts) as client:
        _, body = page(client, f"{_endpoint()}/api/models/{repository}", _headers())
        try:
            names = [str(entry["rfilename"]) for entry in json.loads(body)["siblings"]]
        except (ValueError, LookupError, TypeError):
            raise DownloadError(f"{what} does not list its files.") from None
    return [name for name in names if re.fullmatch(r"[A-Za-z0-9][\w.+-]{0,200}", name)]
