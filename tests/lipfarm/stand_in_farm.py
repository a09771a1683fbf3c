"""`lipfarm up` with stand-ins for the API, the reconciler and the workers: run as a script.

The servers are the real ones. The stand-ins start in a moment and need nothing, so that what is
seen is `up`'s own doing.
"""

import sys
from collections.abc import Mapping

from infra.services.programs import Program
from lipfarm import farm_processes
from lipfarm.cli import main

API = """
import http.server, os, sys
assert os.environ['LIPFARM_DATABASE_URL'] and os.environ['LIPFARM_S3_SECRET_KEY']
handler = http.server.SimpleHTTPRequestHandler
http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[-1])), handler).serve_forever()
"""
#: Has a child of its own that notices when its parent is gone, as a worker's runner does.
WORKER = """
import json, signal, subprocess, sys, time
runner = [sys.executable, '-c', 'import sys; sys.stdin.read()']
child = subprocess.Popen(runner, stdin=subprocess.PIPE)
def drain(*_):
    child.kill()
    print(json.dumps({'event': 'worker.drained', 'level': 'info'}), flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, drain)
print('at work', sys.argv[1:], flush=True)
time.sleep(300)
"""


def stand_in(
    arguments: tuple[str, ...], environment: Mapping[str, str], stop_seconds: float = 10.0
) -> Program:
    code = API if arguments[0] == "api" else WORKER
    argv = (sys.executable, "-c", code, *arguments)
    return Program(argv, environment, stop_seconds=stop_seconds)


if __name__ == "__main__":
    farm_processes._process = stand_in
    farm_processes._is_at_work = lambda _database, _pid: True
    main(sys.argv[1:])
