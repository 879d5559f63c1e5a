"""IPython: magics, ghost text in the terminal, and how they reach a model."""
