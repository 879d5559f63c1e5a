"""The path of every request: context, prompt, engine, trimming, gate, reply."""
