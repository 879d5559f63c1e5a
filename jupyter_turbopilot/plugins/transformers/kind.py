"""Checkpoints with transformers: a local folder, or a downloaded repository."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.kind import EngineKind, limits_of
from jupyter_turbopilot.models.catalog import REPOSITORY, catalog
from jupyter_turbopilot.models.findings import Finding, missing
from jupyter_turbopilot.models.folder import (
    checkpoint_path,
    checkpoints,
    is_complete,
    read_checkpoint_note,
)
from jupyter_turbopilot.models.model import Model
from jupyter_turbopilot.models.store import Stored
from jupyter_turbopilot.plugins.transformers.checkpoint import TransformersOptions, check
from jupyter_turbopilot.plugins.transformers.settings import TurbopilotTransformers
from jupyter_turbopilot.protocol.errors import TurbopilotError, UnknownModelError
from jupyter_turbopilot.util.files import describe_size, sha256_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.models.download import DownloadProgress
    from jupyter_turbopilot.plugins.transformers.engine import TransformersEngine
    from jupyter_turbopilot.plugins.transformers.vocabulary import TransformersVocabulary

_HOW = (
    "With the engine transformers, c.Turbopilot.model must be owner/repository of a checkpoint on Hugging "
    "Face, a folder with a checkpoint, or a catalogue model that has one, such as incoder-1b."
)


def load_engine(
    folder: Path, options: TransformersOptions, *, name: str, fim: str = "auto"
) -> TransformersEngine:
    """Load a checkpoint; raise ModelRefusedError or NotReadyError if that fails."""
    from jupyter_turbopilot.engine.llama.bindings import bindings
    from jupyter_turbopilot.plugins.transformers.vocabulary import TransformersVocabulary

    bindings()  # the engine samples with llama.cpp: report that it is missing before a long load
    loading = check(folder, options)
    vocabulary = TransformersVocabulary(folder)
    from jupyter_turbopilot.plugins.transformers.engine import TransformersEngine
    from jupyter_turbopilot.plugins.transformers.model import load_model

    return TransformersEngine(load_model(folder, loading), vocabulary, loading, name=name, fim=fim)


class TransformersKind(EngineKind):
    """Loads checkpoints with transformers."""

    def find(self, spec: str) -> Model:
        known = catalog().get(spec)
        if known and known.checkpoint:
            return _checkpoint(known.checkpoint)
        if known is None and (folder := _folder(spec)):
            return Model(name=folder.name, file="", path=folder, engine="transformers")
        if known is None and REPOSITORY.fullmatch(spec):
            return _checkpoint(spec)
        if spec.startswith(("/", "~", ".")):
            raise UnknownModelError(f"The folder {spec!r} does not exist.", field="model")
        raise UnknownModelError(f"{spec!r} is not a checkpoint. {_HOW}", field="model")

    def models(self, selected: str) -> list[Model]:
        """List the checkpoints of the catalogue, downloaded ones, and the selected one."""
        fetched = [note.repository for note in checkpoints(self.store.folder)]
        repositories = [*_known(), *(name for name in fetched if REPOSITORY.fullmatch(name))]
        models = [_checkpoint(repository) for repository in dict.fromkeys(repositories)]
        for spec in (self.settings.model, selected):
            with suppress(TurbopilotError):
                models.append(self.find(spec))
        return [*dict.fromkeys(models)]

    def folder(self, model: Model) -> Path:
        """Return the folder of a checkpoint, whether it exists or not."""
        return model.path or checkpoint_path(self.store.folder, model.checkpoint)

    def stored(self, model: Model) -> Stored | None:
        folder = self.folder(model)
        try:
            if not ((folder / "config.json").is_file() if model.path else is_complete(folder)):
                return None
            size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        except OSError:
            return None
        if model.path:
            return Stored(folder, size, None, verified=False, source="your own file")
        verified = read_checkpoint_note(folder).verified
        return Stored(folder, size, None, verified, f"Hugging Face, {model.checkpoint}")

    def remove(self, model: Model) -> int:
        if model.path:
            raise UnknownModelError(
                "This folder is your own, not a download. Delete it yourself.", field="model"
            )
        from jupyter_turbopilot.models.repositories import Repositories

        return Repositories(self.store.folder).remove(model.checkpoint)

    def verify(self, model: Model) -> bool:
        """Compare the weights with the recorded digests."""
        folder = self.folder(model)
        note = read_checkpoint_note(folder)
        if not (note.verified and is_complete(folder)):
            raise UnknownModelError(
                f"No digests are known for {model.name}: it was not downloaded, or has none.",
                field="model",
            )
        return all(sha256_of(folder / name) == digest for name, digest in note.digests.items())

    def obtain(
        self,
        model: Model,
        progress: Callable[[DownloadProgress], None] = lambda _: None,
        cancel: threading.Event | None = None,
        *,
        mirrors: bool = False,  # noqa: ARG002 - there are no mirrors of checkpoints
    ) -> Path:
        """Download a model, or only its damaged files; return its folder."""
        if model.path:
            return model.path
        from jupyter_turbopilot.models.repositories import Repositories

        repositories = Repositories(self.store.folder, progress, cancel)
        return repositories.fetch(model.checkpoint)

    def options(self) -> TransformersOptions:
        """Return the options from the settings."""
        own = self.settings.section(TurbopilotTransformers)
        return TransformersOptions(
            device=own.device,
            bits=own.bits,
            **asdict(limits_of(self.settings)),
        )

    @staticmethod
    def load_vocabulary(path: Path) -> TransformersVocabulary:
        """Load the vocabulary of a folder with a tokenizer."""
        from jupyter_turbopilot.plugins.transformers.vocabulary import TransformersVocabulary

        return TransformersVocabulary(path)

    def load(self, model: Model, cancel: Cancel, *, adapters_enabled: bool) -> Engine:  # noqa: ARG002
        return load_engine(self.folder(model), self.options(), name=model.name, fim=model.fim)

    def examine(self) -> Iterator[Finding]:
        """Check the packages and the checkpoint."""
        try:
            model = self.find(self.settings.model)
        except TurbopilotError as error:
            yield Finding("model", error.message, problem=True)
            return
        stored = self.stored(model)
        if stored is None:
            yield from missing(model)
            return
        yield Finding("model", f"{model.name}, {describe_size(stored.size)}, {stored.path}")
        try:
            loading = check(stored.path, self.options())
        except TurbopilotError as error:
            yield Finding("engine", f"{error.message} {error.hint}".strip(), problem=True)
            return
        bits = f", {loading.bits}-bit weights" if loading.bits else ""
        yield Finding("engine", f"transformers on {loading.device}, {loading.dtype}{bits}")


def _known() -> dict[str, Model]:
    """Return the catalogue models that have a checkpoint, by repository."""
    return {model.checkpoint: model for model in catalog().values() if model.checkpoint}


def _checkpoint(repository: str) -> Model:
    """Return the model of a repository, without the catalogue's data about its GGUF file."""
    return replace(
        _known().get(repository) or Model(repository, "", checkpoint=repository),
        engine="transformers",
        file="",
        sources=(),
        size=None,
        sha256=None,
        parameters=0.0,
        kind="",
        shards=0,
    )


def _folder(spec: str) -> Path | None:
    try:
        folder = Path(spec).expanduser()
        return folder.resolve() if folder.is_dir() else None
    except (OSError, RuntimeError):
        return None
