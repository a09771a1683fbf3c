"""How long the API takes from its command to its first answer.

::

    python -m bench.start

No server is needed: it answers ``/healthz`` before it has spoken to any. The first start is not
counted; it compiles what has no bytecode yet, which an installed package has.
"""

import os
import statistics
import sys
import time
from typing import Final

import click

from bench.serving import running_api

MOST_SECONDS: Final = 2.0

_NOWHERE: Final = {
    "LIPFARM_DATABASE_URL": "postgresql+psycopg://nobody:none@127.0.0.1:9/none",
    "LIPFARM_REDIS_URL": "redis://127.0.0.1:9/0",
    "LIPFARM_S3_ENDPOINT_URL": "http://127.0.0.1:9",
    "LIPFARM_S3_ACCESS_KEY": "none",
    "LIPFARM_S3_SECRET_KEY": "none",
    "LIPFARM_LOG_LEVEL": "error",
    # Else a shell that forbids bytecode has every start compile a hundred files anew.
    "PYTHONDONTWRITEBYTECODE": "",
}


def _start() -> float:
    began = time.monotonic()
    with running_api(_NOWHERE):
        return time.monotonic() - began


@click.command()
@click.option("--rounds", default=10, show_default=True)
def main(rounds: int) -> None:
    """Measure; exit 1 where half of the starts take too long."""
    _start()
    times = sorted(_start() for _ in range(rounds))
    median = statistics.median(times)
    print(f"API: answers after {times[0]:.2f} to {times[-1]:.2f} s, median {median:.2f} s")
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    sys.exit(0 if median < MOST_SECONDS else 1)


if __name__ == "__main__":
    main()
