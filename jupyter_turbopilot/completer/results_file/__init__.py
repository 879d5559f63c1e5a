"""Answers that last: a SQLite file of what the model wrote and digests of where, written behind."""
