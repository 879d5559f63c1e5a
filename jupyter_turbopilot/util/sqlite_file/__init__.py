"""SQLite files that only their owner can read, bounded in size and shared by several processes."""
