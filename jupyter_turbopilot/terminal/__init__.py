"""IPython integration: magics, ghost text in the terminal, and the connection to a model."""
