"""The HTTP edge: Jupyter's extension, the standalone server, the routes."""
