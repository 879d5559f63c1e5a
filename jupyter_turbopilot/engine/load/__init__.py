"""Plans a load according to the machine's resources, and decides when to retry a failed one."""
