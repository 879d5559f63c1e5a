"""Before a model is loaded: what the machine has, what fits, a trial in a child process."""
