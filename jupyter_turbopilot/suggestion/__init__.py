"""From tokens to what the user sees: where a suggestion ends, and how much of it is shown. Pure."""
