"""The application: every address, over one farm."""

from importlib.metadata import version

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, ProcessCollector

from api import sign_in
from api.dashboard import pages
from api.edge import Edge
from api.errors import install_error_answers
from api.etags import EntityTags
from api.event_hub import EventHub
from api.farm import Farm
from api.limits import Limits
from api.metrics import FarmCollector
from api.openapi import install_document
from api.repeating import Repeats
from api.routes import (
    actions,
    assets,
    audit,
    batches,
    controls,
    deliveries,
    estimates,
    events,
    farm,
    generations,
    health,
    keys,
    languages,
    lists,
    metrics,
    outputs,
    steps,
    strips,
    uploads,
    views,
    webhooks,
    workers,
)
from api.traffic import Traffic, TrafficMetrics
from infra.db.session import Database
from infra.settings import Settings
from infra.storage.objects import ObjectStore


def create_app(settings: Settings, database: Database, store: ObjectStore) -> FastAPI:
    """The API over a farm's parts; nothing is asked of them before the first request.

    Args:
        settings: the farm's.
        database: whose bells ring after a commit.
        store: the farm's bucket.
    """
    app = FastAPI(
        title="lipfarm",
        version=version("lipfarm"),
        summary="A render farm for lip-sync dubbing.",
        docs_url=None,  # its pages fetch scripts from elsewhere
        redoc_url=None,
        openapi_url="/v2/openapi.json",
    )
    app.state.farm = Farm(settings, database, store, Limits(settings.redis_url), EventHub(database))
    install_error_answers(app)
    app.add_middleware(Repeats, database=database)
    app.add_middleware(EntityTags)
    app.add_middleware(Edge)
    app.state.metrics = _registry(app, settings, database)
    for routes in (
        generations,
        controls,
        actions,
        steps,
        strips,
        outputs,
        uploads,
        assets,
        lists,
        health,
        events,
        webhooks,
        deliveries,
        keys,
        audit,
        sign_in,
        batches,
        estimates,
        languages,
        farm,
        workers,
        views,
        metrics,
        pages,
    ):
        app.include_router(routes.router)
    app.mount(pages.STATIC, pages.Assets())
    install_document(app)
    return app


def _registry(app: FastAPI, settings: Settings, database: Database) -> CollectorRegistry:
    """What ``/metrics`` tells; of this application alone, for a process may have several."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(FarmCollector(database, settings.sample_seconds))
    app.add_middleware(Traffic, metrics=TrafficMetrics(registry))
    return registry
