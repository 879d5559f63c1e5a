"""Models: what there is, where it comes from, whether the file is sound."""
