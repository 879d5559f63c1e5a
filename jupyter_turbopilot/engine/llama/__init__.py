"""llama.cpp behind the engine's protocol. The only importer of llama_cpp."""
