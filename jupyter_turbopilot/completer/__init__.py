"""From a request to its answer: context, prompt, engine, trimming, gate. Every request takes this way."""
