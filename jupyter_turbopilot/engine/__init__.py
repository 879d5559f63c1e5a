"""The model at work: the protocol, llama.cpp behind it, the one thread that drives it."""
