"""Load a GGUF model as a trainable network: dequantised weights, optionally with LoRA matrices."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers
from gguf import GGUFWriter
from torch import nn

from jupyter_turbopilot.models.ggml import F16, F32, interleave_halves
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.models.tuning.merge import TensorChange, rewrite
from jupyter_turbopilot.protocol.errors import BadRequestError, TurbopilotError
from jupyter_turbopilot.util.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jupyter_turbopilot.models.gguf import GGUFTensor, Header

MATRICES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_NORMS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
_KINDS = {
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
}
PERMUTED = ("attn_q", "attn_k")  # matrices that llama.cpp permutes for Llama's architecture


class Lora(nn.Module):
    """A frozen linear layer with two trainable low-rank matrices."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.base, self.scale = base, alpha / rank
        place = base.weight.device
        self.a = nn.Parameter(torch.randn(rank, base.in_features, device=place) / math.sqrt(base.in_features))
        self.b = nn.Parameter(torch.zeros(base.out_features, rank, device=place))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the layer's output plus the low-rank update."""
        added = (x @ self.a.to(x.dtype).T) @ self.b.to(x.dtype).T
        summed: torch.Tensor = self.base(x) + added * self.scale
        return summed


@dataclass
class Network:
    """The network and the header of its file."""

    model: Any
    header: Header
    loras: dict[str, Lora]  # by llama.cpp's names of the matrices
    alpha: float = 0.0

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        device: torch.device = self.model.device
        return device

    def learnt(self) -> dict[str, nn.Parameter]:
        """Return the trainable parameters by name."""
        return {name: part for name, part in self.model.named_parameters() if part.requires_grad}


def best_device() -> torch.device:
    """Return the GPU if there is one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def best_type(device: torch.device) -> torch.dtype:
    """Return the number type with the faster matrix multiplication; on CPUs it is measured."""
    if device.type != "cpu":
        return torch.bfloat16

    def seconds(kind: torch.dtype) -> float:
        a, b = torch.ones(256, 1024, dtype=kind), torch.ones(1024, 1024, dtype=kind)
        times = []
        for _ in range(8):
            begun = time.perf_counter()
            a @ b
            times.append(time.perf_counter() - begun)
        return min(times)  # slower runs may have been interrupted

    return min((torch.bfloat16, torch.float32), key=seconds)


def load(path: Path, device: torch.device, kind: torch.dtype) -> Network:
    """Load a model; raise an error if it cannot be trained."""
    header = read_header(path)
    if header.architecture not in _KINDS:
        raise BadRequestError(
            f"{path.name} is a {header.architecture} model. Only the architectures "
            f"{' and '.join(_KINDS)} can be trained."
        )
    config = _config(header)
    model_class = _KINDS[header.architecture][1]
    with torch.device("meta"):
        model = model_class(config)
    model = model.to(kind).to_empty(device=device)
    model.tie_weights()
    wanted = dict(model.named_parameters())
    for name, array in _weights(path, header):
        place = wanted.pop(name, None)
        if place is None or tuple(place.shape) != array.shape:
            raise TurbopilotError(f"{path.name} contains the unexpected tensor {name}.")
        with torch.no_grad():
            place.copy_(torch.from_numpy(array))
    if wanted:
        raise TurbopilotError(f"{path.name} lacks the tensors {', '.join(sorted(wanted)[:3])}.")
    model.model.rotary_emb = type(model.model.rotary_emb)(config).to(device)  # computed, not stored
    model.requires_grad_(requires_grad=False)
    model.train()
    return Network(model, header, {})


def _config(header: Header) -> Any:
    values = header.metadata
    name = header.architecture
    scaling = values.get(f"{name}.rope.scaling.type", "none")
    if scaling not in {"none", "linear"} or any(part.name == "rope_freqs.weight" for part in header.parts):
        raise TurbopilotError("Models with this RoPE scaling cannot be trained. Choose another model.")
    rope: dict[str, Any] = {
        "rope_type": "default",
        "rope_theta": float(values.get(f"{name}.rope.freq_base", 10_000.0)),
    }
    if scaling == "linear":
        rope |= {"rope_type": "linear", "factor": float(values[f"{name}.rope.scaling.factor"])}
    heads = header.number("attention.head_count")
    shapes = {part.name: part.shape for part in header.parts}
    more: dict[str, Any] = {}
    if name == "llama":
        more = {
            "head_dim": header.number("attention.key_length") or None,
            "attention_bias": "blk.0.attn_output.bias" in shapes,
        }
    return _KINDS[name][0](
        vocab_size=shapes["token_embd.weight"][1],
        hidden_size=header.number("embedding_length"),
        intermediate_size=header.number("feed_forward_length"),
        num_hidden_layers=header.number("block_count"),
        num_attention_heads=heads,
        num_key_value_heads=header.number("attention.head_count_kv", heads),
        max_position_embeddings=header.number("context_length"),
        rms_norm_eps=float(values.get(f"{name}.attention.layer_norm_rms_epsilon", 1e-6)),
        rope_parameters=rope,
        tie_word_embeddings="output.weight" not in shapes,
        **more,
    )


def _weights(path: Path, header: Header) -> Iterator[tuple[str, Any]]:
    """Iterate over the dequantised tensors by their names in transformers."""
    import gguf

    for tensor in gguf.GGUFReader(path).tensors:
        array = gguf.dequantize(tensor.data, tensor.tensor_type)
        if heads := _heads(header, tensor.name):
            array = separate_halves(array, heads=heads)
        yield transformers_name(tensor.name), np.array(array, np.float32, order="C")


def transformers_name(name: str) -> str:
    """Translate a tensor's name from GGUF to transformers."""
    plain = {
        "token_embd.weight": "model.embed_tokens.weight",
        "output_norm.weight": "model.norm.weight",
        "output.weight": "lm_head.weight",
    }
    if name in plain:
        return plain[name]
    parts = name.split(".")
    called = {short: long for long, short in (MATRICES | _NORMS).items()}
    if len(parts) != 4 or parts[0] != "blk" or parts[2] not in called:  # noqa: PLR2004
        return name
    return f"model.layers.{parts[1]}.{called[parts[2]]}.{parts[3]}"


def adapt(network: Network, rank: int, alpha: float, first: int = 0) -> None:
    """Add LoRA matrices to every layer from `first` on."""
    network.alpha = alpha
    for number, layer in enumerate(network.model.model.layers):
        if number < first:
            continue
        for long, short in MATRICES.items():
            parent, _, child = long.partition(".")
            holder = getattr(layer, parent)
            lora = Lora(getattr(holder, child), rank, alpha)
            setattr(holder, child, lora)
            network.loras[f"blk.{number}.{short}.weight"] = lora


def free(network: Network) -> None:
    """Make all parameters trainable."""
    network.model.float().requires_grad_(requires_grad=True)


def write_model(network: Network, source: Path, target: Path) -> Path:
    """Write the current weights in F16; copy everything else from the source file."""
    state = network.model.state_dict()

    def made(_: memoryview, part: GGUFTensor) -> list[bytes]:
        values = _plain(
            state[transformers_name(part.name)], np.float32 if len(part.shape) == 1 else np.float16
        )
        return [_turned(network, part.name, values).tobytes()]

    parts = network.header.parts
    return rewrite(
        source, target, {part.name: TensorChange(F16 if len(part.shape) > 1 else F32, made) for part in parts}
    )


def _plain(values: torch.Tensor, kind: type[Any]) -> Any:
    return values.detach().float().cpu().numpy().astype(kind)


def _turned(network: Network, name: str, matrix: Any) -> Any:
    """Reorder a matrix's rows for llama.cpp."""
    if (heads := _heads(network.header, name)) == 0:
        return matrix
    return np.ascontiguousarray(interleave_halves(matrix, heads=heads))


def separate_halves(matrix: Any, *, heads: int) -> Any:
    """Undo `interleave_halves`."""
    pairs = matrix.reshape(heads, -1, 2, *matrix.shape[1:])
    return pairs.swapaxes(1, 2).reshape(matrix.shape)


def _heads(header: Header, name: str) -> int:
    """Return the number of heads whose rows llama.cpp permutes, or 0 if it does not."""
    short = name.split(".")[-2]
    if header.architecture != "llama" or short not in PERMUTED:
        return 0
    heads = header.number("attention.head_count")
    return heads if short == "attn_q" else header.number("attention.head_count_kv", heads)


def write_adapter(network: Network, target: Path, name: str) -> Path:
    """Write the LoRA matrices as a GGUF adapter, atomically."""
    with write_atomically(target, TurbopilotError) as partial:
        out = GGUFWriter(partial, network.header.architecture)
        out.add_type("adapter")
        out.add_string("adapter.type", "lora")
        out.add_float32("adapter.lora.alpha", float(network.alpha))
        out.add_name(name)
        for matrix, lora in network.loras.items():
            out.add_tensor(f"{matrix}.lora_a", _plain(lora.a, np.float16))
            out.add_tensor(f"{matrix}.lora_b", _turned(network, matrix, _plain(lora.b, np.float16)))
        out.write_header_to_file()
        out.write_kv_data_to_file()
        out.write_tensors_to_file()
        out.close()
    return target
