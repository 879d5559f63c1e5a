"""Models: the catalogue, downloads, integrity checks, conversion and adapters."""
