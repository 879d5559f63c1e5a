"""A log of what becomes of suggestions, for studies: numbers that a person keeps and hands over themselves."""
