"""Batches: a file of rows on its way to jobs."""
