"""What is remembered of the person's own code: an index of the notebooks and files they have written."""
