"""The SQLite database: its tables, its connections, its one writer, its migrations."""
