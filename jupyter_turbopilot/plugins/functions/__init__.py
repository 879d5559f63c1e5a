"""Multi-function generation: a function together with the missing functions that it calls."""
