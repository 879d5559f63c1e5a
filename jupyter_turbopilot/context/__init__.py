"""Context for the prompt beyond the lines around the cursor. Pure."""
