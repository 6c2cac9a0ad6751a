"""What a node keeps on disk: all SQL and key files. One SQLite file a purpose, each behind a `Database`."""
