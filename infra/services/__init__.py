"""PostgreSQL, Valkey and SeaweedFS on this machine, from wheels: for ``lipfarm up`` and tests."""
