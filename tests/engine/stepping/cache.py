"""A simulation of llama.cpp's KV cache."""

from __future__ import annotations

from jupyter_turbopilot.engine.stepping.kv_cache import KVCache


class SimulatedCache(KVCache):
    """The tokens of each sequence, by position. `fails`: which copies, saves and loads fail, the last first."""

    def __init__(self, fails: list[bool] | None = None, *, can_shift: bool = False) -> None:
        self.can_shift = can_shift
        self.positions: dict[int, dict[int, int]] = {}
        self.fails = fails or []
        self.log: list[str] = []
        self.shifted: set[int] = set()  # sequences with keys that are not rotated yet

    def tokens(self, sequence: int) -> list[int]:
        """Return the tokens of a sequence, -1 where there is none."""
        held = self.positions.get(sequence, {})
        return [held.get(position, -1) for position in range(self.length(sequence))]

    def held(self) -> dict[int, list[int]]:
        """Return the tokens of all sequences that are not empty."""
        return {sequence: self.tokens(sequence) for sequence, held in self.positions.items() if held}

    def append(self, sequence: int, tokens: list[int]) -> None:
        """Evaluate tokens."""
        start = self.length(sequence)
        self.positions.setdefault(sequence, {}).update(enumerate(tokens, start))

    def length(self, sequence: int) -> int:
        return max(self.positions.get(sequence, {}), default=-1) + 1

    def copy(self, source: int, target: int, start: int, stop: int) -> None:
        if not start:  # between separate caches, a copy is saved and loaded
            self._do("copy")
        part = {at: token for at, token in self.positions[source].items() if start <= at < stop}
        assert not part.keys() & self.positions.get(target, {}).keys()
        self.positions.setdefault(target, {}).update(part)
        self.shifted |= {target} if source in self.shifted else set()

    def truncate(self, sequence: int, start: int) -> None:
        held = self.positions.get(sequence, {})
        self.positions[sequence] = {at: token for at, token in held.items() if at < start}
        if not start:
            self.shifted.discard(sequence)

    def shift(self, sequence: int, start: int, stop: int, by: int) -> None:
        held = self.positions[sequence]
        assert all(start <= at < stop for at in held)
        self.positions[sequence] = {at + by: token for at, token in held.items()}
        self.shifting = True
        self.shifted.add(sequence)

    def rotate(self) -> None:
        """Rotate the keys of shifted tokens, as the next batch does."""
        self.shifting = False
        self.shifted.clear()

    def save(self, sequence: int) -> dict[int, int]:
        self._do("save")
        assert sequence not in self.shifted
        return dict(self.positions[sequence])

    def load(self, sequence: int, state: dict[int, int]) -> None:
        self._do("load")
        assert not self.positions.get(sequence)
        self.positions[sequence] = dict(state)

    def reset(self) -> None:
        assert not self.held()

    def _do(self, what: str) -> None:
        if self.fails and self.fails.pop():
            raise MemoryError
        self.log.append(what)
