"""The door to the database: the only room with SQL in it. Synchronous, thread-safe, called from threads."""
