from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from jupyter_turbopilot.engine.transformers.checkpoint import TransformersOptions, check
from jupyter_turbopilot.engine.transformers.loader import load, load_vocabulary


def test_an_engine_is_loaded_with_what_was_asked_for(checkpoint: Path) -> None:
    options = TransformersOptions(context_size=128, threads=1, dtype="bfloat16")
    engine = load(checkpoint, options, name="mine", fim="none")
    assert (engine.name, engine.fim, engine.context_size) == ("mine", "none", 128)
    assert engine.identity == check(checkpoint, options).identity
    assert engine.abilities.places == 1
    assert load_vocabulary(checkpoint).table.pieces == engine.vocabulary.table.pieces
    engine.close()


def test_nothing_heavy_is_imported_before_a_model_is_loaded() -> None:
    code = (
        "import sys; from jupyter_turbopilot.engine.transformers import checkpoint, loader, packages; "
        "print({'torch', 'transformers', 'tokenizers', 'llama_cpp'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
