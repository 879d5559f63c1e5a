"""Download checkpoints from Hugging Face: the files that a conversion needs, verified by digest."""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock
from msgspec.structs import replace

from jupyter_turbopilot.models.catalog import REPOSITORY
from jupyter_turbopilot.models.download import DownloadProgress, download_errors
from jupyter_turbopilot.models.folder import (
    CHECKPOINT_NOTE,
    CheckpointNote,
    aside_path,
    checkpoint_files,
    checkpoint_path,
    is_complete,
    read_checkpoint_note,
    remove_all,
    state_path,
    write_checkpoint_note,
)
from jupyter_turbopilot.models.model import HubFile
from jupyter_turbopilot.models.sources import fetch, fetch_metadata, list_files
from jupyter_turbopilot.models.transfer import Transfer
from jupyter_turbopilot.protocol.errors import ConversionError, DownloadError
from jupyter_turbopilot.util.files import move, partial_path, sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "vocab.json", "merges.txt", "added_tokens.json",
)  # fmt: skip
_WEIGHTS = re.compile(r"model[\w.-]{0,200}\.safetensors(\.index\.json)?")
_OLD_WEIGHTS = re.compile(r"pytorch_model[\w.-]{0,200}\.bin(\.index\.json)?")
# All CodeGen models share one tokenizer; copies in GPT-J's layout do not include it.
_CODEGEN_TOKENIZER, _CODEGEN_ROWS = "Salesforce/codegen-350M-mono", 51200


def _folder(source: str) -> Path | None:
    here = Path(source).expanduser()
    if here.is_dir():
        return here
    if not REPOSITORY.fullmatch(source):
        raise ConversionError(f"{source} is neither a folder nor owner/repository.")
    return None


class Repositories:
    """The downloaded checkpoints of a models folder."""

    def __init__(
        self,
        folder: Path,
        progress: Callable[[DownloadProgress], None] = lambda _: None,
        cancel: threading.Event | None = None,
    ) -> None:
        self.folder = folder
        self._progress = progress
        self._cancel = cancel or threading.Event()

    def checkpoint(self, source: str) -> Path:
        """Return the folder of a checkpoint, given as a path or a repository; download it if necessary."""
        return _folder(source) or self.fetch(source)

    def fetch(self, repository: str, *, keep: bool = True) -> Path:
        """Download a repository's missing or damaged files and return its folder.

        Without `keep` it is not noted as complete, so that the next conversion can remove it.
        """
        folder = checkpoint_path(self.folder, repository)
        if read_checkpoint_note(folder).digests:
            with download_errors(self.folder, repository), self._locked(folder):
                self._set_damaged_aside(folder)
        if is_complete(folder):
            return folder
        names = list_files(repository)
        weights = [name for name in names if _WEIGHTS.fullmatch(name)]
        weights = weights or [name for name in names if _OLD_WEIGHTS.fullmatch(name)]
        if "config.json" not in names or not weights:
            raise ConversionError(
                f"{repository} contains no checkpoint (config.json and model*.safetensors)."
            )
        wanted = ["config.json", *(name for name in _TOKENIZER if name in names), *weights]
        with download_errors(self.folder, repository), self._locked(folder):
            self._fetch_into(folder, repository, wanted)
            if keep:
                write_checkpoint_note(folder, replace(read_checkpoint_note(folder), complete=True))
        return folder

    @staticmethod
    def _set_damaged_aside(folder: Path) -> None:
        """Move aside files that were changed after the note was written and have another digest."""
        noted = (folder / CHECKPOINT_NOTE).stat().st_mtime_ns
        for name, digest in read_checkpoint_note(folder).digests.items():
            file = folder / name
            if file.is_file() and file.stat().st_mtime_ns > noted and sha256_of(file) != digest:
                move(file, aside_path(file))

    def tokenizer(self, source: str) -> Path:
        """Return a folder with a tokenizer, given as a path or a repository."""
        if here := _folder(source):
            return here
        folder = checkpoint_path(self.folder, source)
        if is_complete(folder):
            return folder
        try:
            names = list_files(source)
        except DownloadError:
            if not any((folder / name).is_file() for name in _TOKENIZER):
                raise
            return folder  # use the earlier download
        with download_errors(self.folder, source), self._locked(folder):
            self._fetch_into(folder, source, [name for name in names if name in _TOKENIZER])
        return folder

    def tokenizer_for(self, folder: Path, family: str, rows: int) -> Path:
        """Return the folder with a checkpoint's tokenizer, which may be another repository's."""
        if any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
            return folder
        if family in {"gptj", "codegen"} and rows == _CODEGEN_ROWS:
            return self.tokenizer(_CODEGEN_TOKENIZER)
        return folder  # the conversion reports what is missing

    def remove(self, repository: str) -> int:
        """Delete a repository's downloaded files, and return the bytes freed."""
        folder = checkpoint_path(self.folder, repository)
        freed = remove_all(checkpoint_files(folder))
        with suppress(OSError):  # it contains other files
            folder.rmdir()
        return freed

    @staticmethod
    def _locked(folder: Path) -> FileLock:
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / ".lock")

    def _fetch_into(self, folder: Path, repository: str, names: Sequence[str]) -> None:
        for name in names:
            target = folder / name
            if target.is_file():
                continue
            noted = read_checkpoint_note(folder)
            files = tuple(sorted({*noted.files, name}))
            note = CheckpointNote(repository, files, noted.digests)  # no longer complete
            write_checkpoint_note(folder, note)
            source = HubFile(repository, name)
            known = fetch_metadata(source)
            partial = partial_path(target)

            def step(done: int, total: int | None = known.size, name: str = name) -> None:
                self._progress(DownloadProgress("downloading", done, total, name))

            fetch(source, Transfer(partial, known, step, self._cancel.is_set))
            if known.sha256 and sha256_of(partial) != known.sha256:
                partial.unlink()
                raise DownloadError(f"{name} was damaged in transit: its digest differs. Try again.")
            move(partial, target)
            state_path(partial).unlink(missing_ok=True)
            if known.sha256:
                digests = note.digests | {name: known.sha256}
                write_checkpoint_note(folder, replace(note, digests=digests))
