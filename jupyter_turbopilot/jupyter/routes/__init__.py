"""The HTTP edge: a file per protocol, one table of routes."""
