"""A log of what becomes of suggestions, for studies: a person keeps it, and hands it over or not."""
