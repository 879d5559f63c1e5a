"""Loading a model: what the machine offers, what fits into it, a trial in a child process."""
