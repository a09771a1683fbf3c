"""The database as it grew: Alembic revisions, each reversible."""
