"""What a farm's processes are told by the environment, checked once at start.

Every name is ``LIPFARM_`` plus the field in capitals: ``LIPFARM_DATABASE_URL``. A mistake is one
line that names the variable and what it wants.
"""

import re
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from infra.errors import SettingsError

PREFIX = "LIPFARM_"

_GIB = 1 << 30


class Settings(BaseSettings):
    """The settings of one process.

    Attributes:
        database_url: ``postgresql://user:password@host:port/name``.
        redis_url: ``redis://host:port/0`` (or ``rediss://``).
        s3_endpoint_url: of the object store; unset means AWS.
        s3_public_endpoint_url: the same store as clients reach it; presigned URLs point there.
        s3_bucket, s3_region, s3_access_key, s3_secret_key: the farm's bucket; without keys, what
            the machine's own AWS configuration says.
        scratch_dir: where workers put what they work on; a fast local disk.
        scratch_cache_bytes: fetched artifacts kept there for the next step, at most.
        free_space_floor_bytes: with less room left in ``scratch_dir`` a worker claims nothing.
        checkpoint: weights for ``wav2lip`` jobs; unset takes what ``lipfarm models`` installed.
        lease_seconds: how long a step stays a silent worker's.
        heartbeat_seconds: how often a worker renews it, and so how soon it hears of a cancel.
        poll_seconds: how often an idle worker looks for work nobody rang for; jittered by a half.
        progress_seconds: how long a step may go without a new frame.
        first_progress_seconds: the same for its first frame, which waits for the network to load.
        drain_seconds: how long a worker told to stop may finish the step in hand.
        reconcile_seconds: how often the leading reconciler looks at everything.
        worker_silence_seconds: after this a worker counts as gone.
        artifact_retention_days: artifacts nobody used for so long are collected.
        collect_hours: how often the leading reconciler collects garbage.
        orphan_hours: uploads no step committed are collected when they are older.
        upload_days: how long a client may take to upload a file straight into the bucket.
        sample_seconds: how often the leading reconciler samples the queues.
        metrics_token: what a scraper of ``/metrics`` sends as its bearer token; without one, only
            this machine is answered.
        metrics_port: on which a worker or a reconciler answers with metrics of its own.
        fetch_private_addresses: whether input URLs may point into private networks.
        max_upload_bytes: of one input.
        webhook_private_addresses: whether webhooks may go into private networks.
        webhook_http: whether they may go without TLS.
        event_days: events, and webhooks that ended, are kept so long.
        requests_per_minute: of one API key; 0 for as many as it likes. A project may have its own.
        live_jobs: unfinished ones of one project; unset for as many as it likes, as above.
        s3_input_buckets: what inputs may be named as ``s3://bucket/key``: ``BUCKET``,
            ``BUCKET/PREFIX`` or ``PROJECT=BUCKET/PREFIX``, with commas between; none unless set.
        max_batch_bytes: of the file of one batch.
        max_batch_rows: lines of the file of one batch.
        price_per_hour: of a GPU's time, for estimates; in whatever money.
        previews: whether what is rendered gets a small film and stills of before and after.
        crash_dir: see :mod:`infra.crash_points`; for tests alone.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    database_url: str
    redis_url: str
    s3_endpoint_url: str | None = None
    s3_public_endpoint_url: str | None = None
    s3_bucket: str = Field("lipfarm", min_length=3, max_length=63)
    s3_region: str = "us-east-1"
    s3_access_key: str | None = None
    s3_secret_key: SecretStr | None = None

    scratch_dir: Path = Path("/var/tmp/lipfarm")  # noqa: S108 -- made with mode 0700
    scratch_cache_bytes: int = Field(20 * _GIB, ge=0)
    free_space_floor_bytes: int = Field(2 * _GIB, ge=0)
    checkpoint: Path | None = None

    lease_seconds: float = Field(15.0, gt=0)
    heartbeat_seconds: float = Field(1.0, gt=0)
    poll_seconds: float = Field(5.0, gt=0)
    progress_seconds: float = Field(120.0, gt=0)
    first_progress_seconds: float = Field(300.0, gt=0)
    drain_seconds: float = Field(30.0, ge=0)

    reconcile_seconds: float = Field(2.0, gt=0)
    worker_silence_seconds: float = Field(30.0, gt=0)
    artifact_retention_days: float = Field(30.0, gt=0)
    orphan_hours: float = Field(24.0, gt=0)
    collect_hours: float = Field(6.0, gt=0)
    upload_days: float = Field(7.0, gt=0)
    sample_seconds: float = Field(15.0, gt=0)

    metrics_token: SecretStr | None = Field(None, min_length=16)
    metrics_port: int | None = Field(None, ge=0, le=65535)

    fetch_private_addresses: bool = False
    max_upload_bytes: int = Field(200 * _GIB, gt=0)

    webhook_private_addresses: bool = False
    webhook_http: bool = False
    event_days: float = Field(90.0, gt=0)
    requests_per_minute: int = Field(6000, ge=0)
    live_jobs: int | None = Field(None, ge=1)
    s3_input_buckets: str = ""
    max_batch_bytes: int = Field(4 * _GIB, gt=0)
    max_batch_rows: int = Field(5_000_000, gt=0)
    price_per_hour: float = Field(0.0, ge=0)
    previews: bool = True

    crash_dir: Path | None = None

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: str) -> str:
        if not value.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
            raise ValueError("it is postgresql://USER:PASSWORD@HOST:PORT/NAME")
        return "postgresql+psycopg://" + value.split("://", 1)[1]

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: str) -> str:
        if not value.startswith(("redis://", "rediss://")):
            raise ValueError("it is redis://HOST:PORT/0")
        return value

    @field_validator("s3_endpoint_url", "s3_public_endpoint_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("it is http://HOST:PORT or https://HOST")
        return value

    @field_validator("s3_input_buckets")
    @classmethod
    def _are_buckets(cls, value: str) -> str:
        for entry in filter(None, map(str.strip, value.split(","))):
            if not re.fullmatch(r"([^=/]+=)?[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^=]*)?", entry):
                raise ValueError(f"{entry}: it is BUCKET, BUCKET/PREFIX or PROJECT=BUCKET/PREFIX")
        return value

    @model_validator(mode="after")
    def _leases_outlive_heartbeats(self) -> Self:
        if self.lease_seconds < 3 * self.heartbeat_seconds:
            raise ValueError("LIPFARM_LEASE_SECONDS must be at least 3 × LIPFARM_HEARTBEAT_SECONDS")
        return self


def load_settings() -> Settings:
    """The settings of this process.

    Raises:
        SettingsError: one line for all mistakes, each with its variable's name.
    """
    try:
        return Settings()  # type: ignore[call-arg]  # the rest comes from the environment
    except ValidationError as error:
        raise SettingsError("; ".join(map(_describe, error.errors()))) from None


def _describe(mistake: object) -> str:
    assert isinstance(mistake, dict)  # noqa: S101 -- pydantic's own shape
    where = "".join(f"{PREFIX}{str(part).upper()}" for part in mistake["loc"][:1])
    if mistake["type"] == "missing":
        return f"{where} is not set"
    message = str(mistake["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
