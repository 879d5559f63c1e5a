"""What becomes of suggestions, and how it calibrates the scores."""
