from __future__ import annotations

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.transformers.cache import Held, is_divisible, new_cache

CONFIG = transformers.MistralConfig(
    num_hidden_layers=2, hidden_size=8, num_attention_heads=2, num_key_value_heads=2, sliding_window=4
)


def held(*sizes: int) -> Held:
    """Return a cache whose layers have so many tokens, each with its position for a key."""
    cache = new_cache(CONFIG)
    for layer, size in enumerate(sizes):
        keys = torch.arange(size, dtype=torch.float32).reshape(1, 1, size, 1).expand(1, 2, size, 4)
        cache.update(keys, keys.clone(), layer)
    return Held(cache, min(sizes))


def positions(one: Held) -> list[list[float]]:
    return [layer.keys[0, 0, :, 0].tolist() if layer.get_seq_length() else [] for layer in one.cache.layers]


@given(st.integers(1, 20), st.integers(1, 25))
def test_what_is_cut_is_gone_and_the_rest_is_as_it_was(size: int, start: int) -> None:
    one = held(size, size)
    one.cut(start)
    assert one.size == min(size, start)
    assert positions(one) == [[float(number) for number in range(one.size)]] * 2


def test_layers_that_got_further_than_others_are_brought_back() -> None:
    one = held(9, 6)
    one.cut(one.size)
    assert positions(one) == [[0, 1, 2, 3, 4, 5]] * 2


@given(st.integers(1, 20), st.data())
def test_a_copy_and_its_original_go_different_ways(size: int, data: st.DataObject) -> None:
    one = held(size, size)
    other = one.copied(data.draw(st.integers(1, size)), divisible=True)
    more = torch.full((1, 2, 1, 4), 99.0)
    for layer in range(2):
        other.cache.update(more, more, layer)
    assert positions(one) == [[float(number) for number in range(size)]] * 2
    assert positions(other) == [[*map(float, range(other.size)), 99.0]] * 2


def test_what_is_compact_holds_no_more_memory_than_it_needs() -> None:
    one = held(100, 100)
    one.cut(5)
    assert one.cache.layers[0].keys.untyped_storage().nbytes() == 100 * 2 * 4 * 4
    assert one.compact().cache.layers[0].keys.untyped_storage().nbytes() == 5 * 2 * 4 * 4
    assert positions(one) == [[0, 1, 2, 3, 4]] * 2


@pytest.mark.parametrize(
    ("config", "divisible"),
    [
        (CONFIG, True),
        (transformers.Qwen2Config(num_hidden_layers=2), True),
        (transformers.MambaConfig(num_hidden_layers=2), False),
        (transformers.Lfm2Config(num_hidden_layers=2, layer_types=["conv", "full_attention"]), False),
    ],
    ids=lambda value: getattr(value, "model_type", None),
)
def test_a_model_with_recurrent_layers_cannot_go_back(config: object, divisible: bool) -> None:
    assert is_divisible(new_cache(config)) == divisible
