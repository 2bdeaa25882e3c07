//! The archive of events: one SQLite database, pictures and clips beside it, and one thread that writes.
