"""docker-compose.yml and the Dockerfiles, checked without an engine."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from infra.settings import PREFIX, Settings
from lipfarm.cli import cli
from tests.patience import LONG_SECONDS

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILES = sorted((ROOT / "infra" / "deploy").glob("*.Dockerfile"))


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())["services"]


def run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: TID251 -- a linter of files, with a limit of its own
        argv, capture_output=True, text=True, timeout=LONG_SECONDS, check=False
    )


def test_compose_file_follows_the_specification() -> None:
    done = run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_dockerfile_is_valid_and_follows_good_practice(dockerfile: Path) -> None:
    done = run(BIN / "hadolint", dockerfile)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_images_are_pinned_run_as_nobody_special_and_say_how_they_are(dockerfile: Path) -> None:
    text = dockerfile.read_text()
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", text, re.M))
    for image in re.findall(r"^FROM (\S+)", text, re.M):
        assert image in stages or re.search(r":\d+\.\d+\.\d+", image), f"{image} is not pinned"
    assert re.search(r"^USER 10001$", text, re.M)
    assert "HEALTHCHECK" in text


def test_the_api_image_has_no_torch() -> None:
    text = (ROOT / "infra" / "deploy" / "api.Dockerfile").read_text()
    assert '".[api]"' in text
    assert "torch" not in re.sub(r"^#.*", "", text, flags=re.M)


def test_every_copied_path_is_in_the_build_context() -> None:
    allowed = set(re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.M))
    for dockerfile in DOCKERFILES:
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile.read_text(), re.M):
            for path in line.split():
                assert path in allowed, f"{path} is ignored"
                assert (ROOT / path).exists()


def test_every_image_is_pinned(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert re.search(r":\d+\.\d+", service["image"]), f"{name}: {service['image']}"


def test_every_service_says_how_it_is(services: dict[str, Any]) -> None:
    """Ours inherit it from their image; strangers' are told."""
    for name, service in services.items():
        assert "build" in service or "healthcheck" in service, name


def test_every_setting_is_one_the_program_knows(services: dict[str, Any]) -> None:
    for service in services.values():
        for variable in service.get("environment", {}):
            if variable.startswith(PREFIX):
                assert variable.removeprefix(PREFIX).lower() in Settings.model_fields


def test_every_command_exists(services: dict[str, Any]) -> None:
    for service in services.values():
        command = service.get("command", [])
        if command[:1] != ["lipfarm"]:
            continue
        known = cli.get_command(click.Context(cli), command[1])
        assert known, f"there is no lipfarm {command[1]}"
        options = {option for parameter in known.params for option in parameter.opts}
        assert {word for word in command[2:] if word.startswith("--")} <= options


def test_workers_get_longer_to_stop_than_they_take_to_drain(services: dict[str, Any]) -> None:
    drain = Settings.model_fields["drain_seconds"].default
    for name, service in services.items():
        if name.startswith("worker"):
            assert float(service["stop_grace_period"].removesuffix("s")) > drain


def test_example_of_secrets_names_every_variable_compose_wants() -> None:
    wanted = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text()))
    given = re.findall(r"^(\w+)=", (ROOT / "infra/deploy/env.example").read_text(), re.M)
    assert wanted == set(given)
