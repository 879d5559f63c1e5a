"""What engines share that keep sequences of tokens in memory: one step for all texts at a time."""
