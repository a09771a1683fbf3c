"""The truth: Postgres. Only here is SQL spoken, and only ``session`` commits."""
