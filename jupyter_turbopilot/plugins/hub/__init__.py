"""`serve` as a service of a JupyterHub, which authenticates the users by their tokens."""
