"""Workers: claim → fetch → call the pipeline → store → complete. Thin on purpose."""
