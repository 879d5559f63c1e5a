"""SQLite files of a person's own: made, checked, opened; bounded, and safe for several processes."""
