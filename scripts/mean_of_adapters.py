"""Make one adapter out of several trainings of the same model: the mean of what they learnt, at a rank.

    python scripts/mean_of_adapters.py --model MODEL.gguf one.gguf=0.5 other.gguf=0.5 --out mean.gguf

What two trainings met in other places, in another order, they agree on; what each alone has is mostly noise.
Summed they would take the ranks of both; cut to the rank of one, the noise goes first.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.models.tuning.adapters import read_spec, write
from jupyter_turbopilot.models.tuning.fold import deltas_of

if TYPE_CHECKING:
    from collections.abc import Iterator

Matrix = NDArray[np.float32]


def cut(a: Matrix, b: Matrix, rank: int) -> tuple[Matrix, Matrix, float]:
    """Return thin matrices whose product is nearest to `b @ a`, and which share of it (squared) is lost."""
    left, right = np.linalg.qr(b), np.linalg.qr(a.T)
    u, sizes, v = np.linalg.svd(left.R @ right.R.T)
    half = np.sqrt(sizes[:rank])
    lost = float((sizes[rank:] ** 2).sum() / (sizes**2).sum())
    return (v[:rank] @ right.Q.T) * half[:, None], (left.Q @ u[:, :rank]) * half, lost


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True, help="the model that they were trained for")
    parser.add_argument("adapters", nargs="+", help="paths; behind each =STRENGTH")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    header = read_header(options.model)
    named = map(read_spec, options.adapters)
    found = deltas_of([(Path(adapter.path), adapter.scale) for adapter in named], header)
    lost: list[float] = []

    def means() -> Iterator[tuple[str, Matrix, Matrix]]:
        for name, deltas in found.items():
            a = np.concatenate([delta[0] for delta in deltas])
            b = np.concatenate([delta[1] for delta in deltas], axis=1)
            if more := max(0, options.rank - len(a)):  # all are counted by one rank
                a, b = np.pad(a, ((0, more), (0, 0))), np.pad(b, ((0, 0), (0, more)))
            a, b, share = cut(a, b, options.rank)
            lost.append(share)
            yield name, a.astype(np.float16), np.ascontiguousarray(b, np.float16)

    title = f"jupyter-turbopilot: mean of {len(options.adapters)}"
    write(options.out, header.architecture, title, options.rank, means())
    size = options.out.stat().st_size / 1e6
    print(f"{options.out}: {size:.1f} MB, {len(found)} matrices; {np.mean(lost):.1%} of them is cut")


if __name__ == "__main__":
    main()
