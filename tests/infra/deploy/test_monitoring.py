"""The Grafana dashboard and the alerts: of metrics there are, with a page on what to do."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, ProcessCollector

from api.traffic import TrafficMetrics
from api.vital_metrics import metrics_of
from infra.db.models import QueueSample
from infra.db.samples import take_sample
from infra.db.session import Database
from infra.db.vitals import read_vitals
from tests.patience import LONG_SECONDS

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "infra" / "deploy" / "monitoring"
#: Of FarmCollector itself and of Prometheus.
OTHERS = {"lipfarm_build_info", "lipfarm_database_up", "up"}


@pytest.fixture(scope="module")
def told(postgres_url: str) -> dict[str, set[str]]:
    """Every series ``/metrics`` tells, with the names of its labels."""
    database = Database(postgres_url)
    with database.transaction() as session:
        take_sample(session)
    with database.transaction() as session:
        vitals = read_vitals(session)
    database.close()
    assert isinstance(vitals.samples[0], QueueSample)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    traffic = TrafficMetrics(registry)
    traffic.requests.labels("GET", "/v2/farm", "200").inc()
    traffic.seconds.labels("GET", "/v2/farm").observe(0.1)
    names: dict[str, set[str]] = {name: set() for name in OTHERS}
    for family in (*metrics_of(vitals, 60.0), *registry.collect()):
        for sample in family.samples:
            names.setdefault(sample.name, set()).update(sample.labels)
    return names


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    return json.loads((FOLDER / "grafana-dashboard.json").read_text())


@pytest.fixture(scope="module")
def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def check_expression(expression: str, told: dict[str, set[str]], recorded: set[str]) -> None:
    """Every metric of a PromQL expression is told, with the labels that are asked of it."""
    found = re.findall(r"(?<![\w:])((?:lipfarm|process|up)[\w:]*)(?:\{([^}]*)\})?", expression)
    names = list(found)
    assert names, expression
    for name, labels in names:
        if name in recorded:
            continue
        assert name in told, f"{name} is not told: {expression}"
        asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", labels)) - {"job", "instance"}
        assert asked <= told[name], f"{name} has no {asked - told[name]}"
    grouped = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", expression))))
    every = set().union(*(told.get(name, set()) for name, _ in names)) | {"instance", "le"}
    assert grouped <= every, expression


def test_every_metric_of_the_dashboard_is_told(dashboard, told):
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len(panels) > 20
    for panel in panels:
        for target in panel["targets"]:
            check_expression(target["expr"], told, set())


def test_panels_lie_beside_each_other_and_have_numbers_of_their_own(dashboard):
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(numbers) == len(set(numbers))


def test_what_the_farm_tells_is_on_the_dashboard(dashboard, told):
    shown = json.dumps(dashboard)
    for name in told:
        if name.startswith("lipfarm") and not name.endswith("_created"):
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            assert family in shown or name in {"lipfarm_database_up"}, name


def test_every_metric_of_a_rule_is_told(rules, told):
    recorded = {rule["record"] for rule in rules if "record" in rule}
    for rule in rules:
        check_expression(rule["expr"], told, recorded)


def test_every_alert_says_what_is_and_what_to_do(rules):
    guide = (ROOT / "docs" / "operations.md").read_text()
    sections = {heading.lower() for heading in re.findall(r"^#### (\w+)$", guide, re.MULTILINE)}
    alerts = [rule for rule in rules if "alert" in rule]
    for rule in alerts:
        annotations = rule["annotations"]
        assert annotations["summary"]
        assert annotations["description"].endswith(".")
        assert rule["labels"]["severity"] in {"page", "ticket"}
        page, _, section = annotations["runbook_url"].partition("#")
        assert page == "docs/operations.md"
        assert section == rule["alert"].lower()
        assert section in sections, f"docs/operations.md has no section {rule['alert']}"
    assert sections == {rule["alert"].lower() for rule in alerts}


@pytest.mark.parametrize(
    "words",
    [("check", "rules", "alerts.yml"), ("check", "config", "--syntax-only", "prometheus.yml")],
)
def test_prometheus_itself_finds_no_mistake(words):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool on the PATH: `apt-get install prometheus` has it")
    done = subprocess.run(  # noqa: TID251 -- a linter of files, with a limit of its own
        [promtool, *words],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=LONG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
