"""Parts that `util/registry.py` lists. The core imports none of them."""
