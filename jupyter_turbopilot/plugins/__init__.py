"""Optional parts, registered in pyproject.toml. The core imports none of them."""
