"""A function written together with the functions that it calls and that do not exist yet."""
