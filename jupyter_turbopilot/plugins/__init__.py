"""Parts that register with the core by entry points. The core imports none of them."""
