"""The S3 library as the farm uses it: patience, digests on the way, and errors in our words."""

import base64
import contextlib
import hashlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, ParamValidationError
from botocore.exceptions import ConnectionError as NoConnectionError

from infra.errors import ObjectMissingError, ServiceUnavailableError
from infra.settings import Settings

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_BLOCK: Final = 1 << 20

MISSING: Final = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchUpload"})


def connect(settings: Settings, endpoint: str | None) -> "S3Client":
    """A client of an endpoint, or of Amazon's; threads may share it."""
    import boto3  # noqa: PLC0415 -- the API is up before it first asks the bucket
    from botocore.config import Config  # noqa: PLC0415

    secret = settings.s3_secret_key
    session = boto3.session.Session(
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=None if secret is None else secret.get_secret_value(),
        region_name=settings.s3_region,
    )
    config = Config(
        signature_version="s3v4",
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": 3},
        s3={"addressing_style": "path"},
        # Endpoints other than Amazon's answer newer checksums with errors; all know Content-MD5.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        max_pool_connections=32,
    )
    client: S3Client = session.client("s3", endpoint_url=endpoint, config=config)
    for call in ("PutObject", "UploadPart"):
        client.meta.events.register(f"before-call.s3.{call}", _tell_digest)
    return client


def code_of(error: ClientError) -> str:
    """S3's own word for an error."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextlib.contextmanager
def translated(key: str) -> Iterator[None]:
    """Raise ObjectMissingError or ServiceUnavailableError for the library's errors."""
    from boto3.exceptions import Boto3Error  # noqa: PLC0415

    try:
        yield
    except ClientError as error:
        if code_of(error) in MISSING:
            raise ObjectMissingError(f"the bucket has no {key}") from error
        raise ServiceUnavailableError(f"the bucket refuses: {error}") from error
    except ParamValidationError:
        raise
    except (BotoCoreError, HTTPClientError, NoConnectionError) as error:
        raise ServiceUnavailableError(f"the bucket does not answer: {error}") from error
    except Boto3Error as error:
        raise ServiceUnavailableError(f"the bucket did not take {key}: {error}") from error


def _tell_digest(params: dict[str, Any], **_: object) -> None:
    """Have the endpoint refuse bytes that were damaged on their way.

    The signature covers a digest of the body too, but SeaweedFS for one does not look at that.
    """
    digest = hashlib.md5(usedforsecurity=False)
    body: bytes | bytearray | IO[bytes] = params["body"]
    if isinstance(body, bytes | bytearray):
        digest.update(body)
    else:
        start = body.tell()
        while block := body.read(_BLOCK):
            digest.update(block)
        body.seek(start)
    params["headers"]["Content-MD5"] = base64.b64encode(digest.digest()).decode()
