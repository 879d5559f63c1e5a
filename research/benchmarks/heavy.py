"""Convert, quantise and run a full-size model with random weights, CodeGen-6B, in 4 GiB.

python research/benchmarks/heavy.py FOLDER

Needs about 35 GB of disk space and, for the memory limit, root and control groups (version 1 or 2). Without
them no limit is set, as the report states.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

GIB = 1024**3
LIMIT = 4 * GIB
CODEGEN_6B: dict[str, Any] = {
    "model_type": "codegen", "vocab_size": 51200, "n_embd": 4096, "n_layer": 33, "n_head": 16, "n_positions": 2048,
    "rotary_dim": 64, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "tie_word_embeddings": False,
}  # fmt: skip


def main() -> None:
    """Create, convert, quantise, run and report."""
    if len(sys.argv) != 2:  # noqa: PLR2004
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    write_checkpoint(folder / "codegen-6b")
    whole = convert(folder / "codegen-6b", folder / "codegen-6b-f16.gguf", largest=51200 * 4096 * 2)
    run_limited(quantize(whole, folder / "codegen-6b-q4_0.gguf", "Q4_0"))


def say(what: str, value: object) -> None:
    """Print a line of the report."""
    text = f"{value:.2f}" if isinstance(value, float) else str(value)
    print(f"| {what} | {text} |", flush=True)


def tensors() -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors of a CodeGen."""
    c = CODEGEN_6B
    width, rows = c["n_embd"], c["vocab_size"]
    found: dict[str, tuple[int, ...]] = {"transformer.wte.weight": (rows, width)}
    for i in range(c["n_layer"]):
        at = f"transformer.h.{i}"
        found |= {
            f"{at}.ln_1.weight": (width,), f"{at}.ln_1.bias": (width,),
            f"{at}.attn.qkv_proj.weight": (3 * width, width), f"{at}.attn.out_proj.weight": (width, width),
            f"{at}.mlp.fc_in.weight": (4 * width, width), f"{at}.mlp.fc_in.bias": (4 * width,),
            f"{at}.mlp.fc_out.weight": (width, 4 * width), f"{at}.mlp.fc_out.bias": (width,),
        }  # fmt: skip
    return found | {
        "transformer.ln_f.weight": (width,), "transformer.ln_f.bias": (width,),
        "lm_head.weight": (rows, width), "lm_head.bias": (rows,),
    }  # fmt: skip


def write_checkpoint(folder: Path) -> None:
    """Write a checkpoint with random weights, tensor by tensor."""
    if (folder / "model.safetensors").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CODEGEN_6B))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer()))
    header: dict[str, Any] = {}
    at = 0
    for name, size in tensors().items():
        count = int(np.prod(size)) * 2
        header[name] = {"dtype": "F16", "shape": list(size), "data_offsets": [at, at + count]}
        at += count
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    random = np.random.default_rng(1)
    partial = folder / "partial"
    with partial.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for entry in header.values():
            left = int(np.prod(entry["shape"]))
            while left:
                part = min(left, 1 << 22)
                file.write((random.standard_normal(part, np.float32) * 0.02).astype(np.float16).tobytes())
                left -= part
    partial.rename(folder / "model.safetensors")


def tokenizer() -> dict[str, Any]:
    """Return a byte tokenizer: the text does not matter."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found: dict[str, Any] = json.loads(made.to_str())
    return found


def convert(source: Path, target: Path, largest: int) -> Path:
    """Convert with the command line; print time and memory."""
    if not target.is_file():
        begun = time.perf_counter()
        _, peak = command("models", "convert", str(source), "-o", str(target))
        say(f"{source.name}: converted to F16 in, s", time.perf_counter() - begun)
        say("peak anonymous memory, MB", peak / 1e6)
        say("relative to the largest tensor", peak / largest)
    say(f"{target.name}, MB", target.stat().st_size / 1e6)
    return target


def quantize(source: Path, target: Path, kind: str) -> Path:
    """Quantise with the command line."""
    if not target.is_file():
        begun = time.perf_counter()
        command("models", "quantize", str(source), str(target), kind)
        say(f"quantised to {kind} in, s", time.perf_counter() - begun)
    say(f"{target.name}, MB", target.stat().st_size / 1e6)
    return target


def command(*arguments: str, before: Any = None) -> tuple[str, int]:
    """Run a command; return its output and its peak anonymous memory."""
    most = 0
    with (
        tempfile.TemporaryFile("w+") as out,
        subprocess.Popen(
            [sys.executable, "-m", "jupyter_turbopilot.cli", *arguments],
            stdout=out,
            preexec_fn=before,  # noqa: PLW1509
        ) as child,
    ):
        while child.poll() is None:
            most = max(most, own_memory(child.pid))
            time.sleep(0.05)
        if child.returncode:
            sys.exit(f"{arguments} ended with {child.returncode}")
        out.seek(0)
        return out.read(), most


def own_memory(pid: int) -> int:
    """Return the anonymous memory of a process."""
    try:
        found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def run_limited(model: Path) -> None:
    """Generate 128 tokens in 4 GiB, and count the pages that are read from the disk."""
    group = limited_group()
    say("memory limit", f"{LIMIT / GIB:.0f} GiB, no swap" if group else "none: no control groups here")
    # Make sure that the file is read from the disk.
    with model.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    config = model.parent / "config"
    config.mkdir(exist_ok=True)
    (config / "jupyter_turbopilot_config.json").write_text('{"Turbopilot": {"cache_type": "q8_0"}}')
    os.environ["JUPYTER_CONFIG_DIR"] = str(config)
    enter = (lambda: (group / "cgroup.procs").write_text(str(os.getpid()))) if group else None
    faults = resource.getrusage(resource.RUSAGE_CHILDREN).ru_majflt
    arguments = ("-n", "128", "-c", "512", "-b", "32", "--temp", "0", "-p", "def f(x):\n", "--json")
    out, most = command("generate", "-m", str(model), *arguments, before=enter)
    found = json.loads(out)
    say("tokens", found["predicted_tokens"])
    say("ms per token", found["predict_ms"] / (found["predicted_tokens"] - 1))
    say("major faults", resource.getrusage(resource.RUSAGE_CHILDREN).ru_majflt - faults)
    say("peak anonymous memory, MB", most / 1e6)
    say("KV cache for 512 tokens, MB", found["memory_per_token"] * 512 / 1e6)
    say("KV cache for 2 048 tokens, MB", found["memory_per_token"] * 2048 / 1e6)
    if group:
        for name in ("memory.max_usage_in_bytes", "memory.peak"):
            if (group / name).is_file():
                say("the group's peak, MB", int((group / name).read_text()) / 1e6)
        group.rmdir()


def limited_group() -> Path | None:
    """Create a control group with the limit; return None if that is impossible."""
    for root, limit, swap in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max", "memory.swap.max"),
    ):
        group = root / f"turbopilot-{os.getpid()}"
        try:
            group.mkdir()
            (group / limit).write_text(str(LIMIT))
        except OSError:
            continue
        with suppress(OSError):  # without swap accounting there must be no swap
            (group / swap).write_text(str(LIMIT if "memsw" in swap else 0))
        return group
    return None


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
