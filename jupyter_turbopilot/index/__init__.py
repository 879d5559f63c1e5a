"""Index of the user's own notebooks and source files."""
