"""Running on several machines, under a program that spreads requests over replicas."""
