"""Running programs that a model wrote: with limits that hold accidents, and no wall against intent."""
