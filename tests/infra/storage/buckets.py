"""Stores of a server that tests run."""

from infra.services.seaweed import SeaweedFS
from infra.settings import Settings
from infra.storage.objects import ObjectStore


def store_at(seaweed: SeaweedFS, url: str, bucket: str = "testing") -> ObjectStore:
    return ObjectStore(
        Settings(
            database_url="postgresql://nobody@nowhere/none",
            redis_url="redis://nowhere",
            s3_endpoint_url=url,
            s3_bucket=bucket,
            s3_access_key=seaweed.access_key,
            s3_secret_key=seaweed.secret_key,
        )
    )
