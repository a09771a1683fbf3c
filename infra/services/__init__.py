"""PostgreSQL, Valkey and SeaweedFS started from their wheels, and programs that do not outlive us.

- ``leash``: turns into another program that dies with its starter, as another user if need be.
- ``programs``: children with a group of their own; started, waited for, stopped.
- ``ports``: free ports on this machine.
- ``postgres``, ``valkey``, ``seaweed``: each server's program, readiness and address.
- ``components``, ``supervisor``: many programs kept alive, started and stopped in order.
- ``folder``, ``notes``: what a farm on one machine keeps between two starts.
"""
