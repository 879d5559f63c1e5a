"""The common part of engines with sequences in memory: each step is a batch for all texts."""
