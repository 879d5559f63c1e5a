"""The one place that turns a folder and options into an engine. PyTorch is imported here at the earliest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.transformers.checkpoint import PLAIN, TransformersOptions, check
from jupyter_turbopilot.engine.transformers.vocabulary import TransformersVocabulary

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_turbopilot.engine.transformers.engine import TransformersEngine


def load(
    folder: Path, options: TransformersOptions = PLAIN, *, name: str, fim: str = "auto"
) -> TransformersEngine:
    """Load a checkpoint's folder, or refuse it in words."""
    loading = check(folder, options)
    vocabulary = TransformersVocabulary(folder)
    from jupyter_turbopilot.engine.transformers.engine import TransformersEngine
    from jupyter_turbopilot.engine.transformers.model import load_model

    return TransformersEngine(load_model(folder, loading), vocabulary, loading, name=name, fim=fim)


def load_vocabulary(folder: Path) -> TransformersVocabulary:
    """Load the vocabulary alone."""
    return TransformersVocabulary(folder)
