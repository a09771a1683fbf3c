"""How work is run: programs, threads, processes, progress, and what it all cost."""
