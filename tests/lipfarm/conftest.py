"""The command line as a client of a real API."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from lipfarm.cli import cli


@pytest.fixture
def lipfarm(request: pytest.FixtureRequest) -> Callable[..., Result]:
    """Runs a command; the module has the API's fixtures."""
    key = request.getfixturevalue("make_key")("ours")
    environment = {"LIPFARM_URL": request.getfixturevalue("url"), "LIPFARM_API_KEY": key}

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(cli, [str(word) for word in arguments], env=environment)

    return run
