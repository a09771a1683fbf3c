import stat
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from types_boto3_s3 import S3Client

from infra.services.ports import free_ports
from infra.services.programs import running
from infra.services.seaweed import PORTS, SeaweedFS


def client(server: SeaweedFS, secret_key: str | None = None) -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=server.url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=secret_key or server.secret_key,
        region_name="us-east-1",
    )


@pytest.fixture
def server(tmp_path: Path) -> SeaweedFS:
    ports = free_ports(PORTS)
    return SeaweedFS(tmp_path / "seaweedfs", ports, "lipfarm", "not-to-be-seen")


def test_objects_survive_a_stop_and_only_the_key_opens_them(
    server: SeaweedFS, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    body = bytes(range(256)) * 4096
    with running(server.program(), server.is_ready, log, 60):
        client(server).create_bucket(Bucket="films")
        client(server).put_object(Bucket="films", Key="a/b", Body=body)
    with running(server.program(), server.is_ready, log, 60):
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            client(server, "wrong").get_object(Bucket="films", Key="a/b")
        assert client(server).get_object(Bucket="films", Key="a/b")["Body"].read() == body


def test_the_secret_is_on_no_command_line_and_in_no_readable_file(server: SeaweedFS) -> None:
    program = server.program()
    keys = server.folder / "s3.json"
    assert "not-to-be-seen" not in " ".join(program.argv)
    assert "not-to-be-seen" in keys.read_text()
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
