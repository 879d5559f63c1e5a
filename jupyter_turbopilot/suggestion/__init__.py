"""From tokens to suggestions: where a suggestion ends, and how much of it is shown. Pure."""
