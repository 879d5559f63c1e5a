"""`serve` as a service of a JupyterHub: the hub says who a token belongs to."""
