"""The engine for GGUF files, which llama.cpp runs. Only this package imports llama_cpp."""
