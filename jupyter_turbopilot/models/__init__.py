"""Models: the catalogue, downloads, integrity checks and adapters."""
