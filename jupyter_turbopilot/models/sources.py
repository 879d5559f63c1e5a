"""One way to ask any kind of source what it has, and to fetch from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.models import hub, index
from jupyter_turbopilot.models.connection import host_of
from jupyter_turbopilot.models.model import HubFile, IndexParts
from jupyter_turbopilot.models.transfer import RemoteFile, fetch_url

if TYPE_CHECKING:
    from collections.abc import Collection

    from jupyter_turbopilot.models.model import Source
    from jupyter_turbopilot.models.transfer import Transfer


def look(source: Source, hosts: Collection[str] = ()) -> RemoteFile:
    """Ask what the publisher says of the file: its size and, from Hugging Face, its digest."""
    return hub.look(source, hosts) if isinstance(source, HubFile) else RemoteFile()


def fetch(source: Source, transfer: Transfer) -> None:
    """Fetch the source's bytes, going on where an earlier attempt stopped."""
    if isinstance(source, HubFile):
        hub.fetch(source, transfer)
    elif isinstance(source, IndexParts):
        index.fetch(source, transfer)
    else:
        fetch_url(source.url, transfer, {}, f"The server at {host_of(source.url)}")
