"""Files, threads, caches and running code: what several packages use."""
