"""No file, however damaged, makes the API fail: it is read in part or refused with a code."""

import random

import pytest

from tests.api.manifests import catalogue, jsonl, line, send, title

REQUESTS = jsonl(line("a"), line("b", options={"crf": 20}, labels=["x"]), line("ü", priority=3))
TABLE = catalogue(
    title("one", "fra", options='{"faces": "all"}', pads="[0,1,2,3]"),
    title('two, "quoted"\nand broken', "deu", labels="a|b", crf="1e3"),
)
LINES = jsonl(title("one", "fra") | {"labels": ["a"]}, title("two", "deu") | {"priority": 1})

#: What breaks parsers, and databases behind them.
PIECES = [
    *rb'"|\|\u0000|\ud800|{|}|[|]|null|1e999|NaN|-0|s3://|http://[|,|;|\'|'.split(b"|"),
    *(b"\n", b"\r", b"\r\n", b"\0", b"\x1f", b"\xff", b"\xfe", b"\xef\xbb\xbf", b"\xe2\x80\xa8"),
    *(b"9" * 400, b"[" * 300, b'{"a":' * 300, "\N{CLAPPER BOARD}".encode(), b"x" * 2000),
]


def damaged(file: bytes, dice: random.Random) -> bytes:
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(file) + 1)
        gone = dice.choice((0, 0, 1, 7, 60))
        file = file[:at] + dice.choice([*PIECES, b""]) + file[at + gone :]
    return file


@pytest.mark.parametrize("file", [REQUESTS, TABLE, LINES], ids=["requests", "table", "lines"])
def test_damage_is_told_and_never_a_failure(client, file):
    dice = random.Random(7)
    seen = set()
    for number in range(60):
        sent = damaged(file, dice)
        name = dice.choice(("films.csv", "films.jsonl", "films"))
        fields = {"dry_run": "true"} if number % 2 else {}
        answer = send(client, sent, name, partial="true", **fields)
        assert answer.status_code < 500, (sent, answer.text)
        assert answer.is_success or answer.json()["error_code"], (sent, answer.text)
        seen.add(answer.status_code)
    assert {200, 201, 400} <= seen


def test_a_batch_whose_rows_are_strange_can_be_read_back(client):
    dice = random.Random(11)
    for _ in range(20):
        answer = send(client, damaged(damaged(LINES, dice), dice), partial="true")
        if answer.status_code == 201:
            for path in ("", "/matrix", "/result", "/result?format=csv"):
                assert client.get(f"/v2/batch/{answer.json()['id']}{path}").status_code == 200


@pytest.mark.parametrize(
    "row",
    [
        title("one", "fra") | {"pads": "[1,"},
        title("one", "fra") | {"\ud800": "x"},
        title("one\ud800", "fra"),
        title("one\0", "fra"),
        title("one", "fra") | {"options": {"\ud800": 1}},
        title("one", "fra") | {"title": "x" * 5000},
        title("one", "fra") | {"title": ["x"]},
        title("one", "fra") | {"priority": 10**30},
    ],
)
def test_a_strange_value_is_told(client, row):
    batch = send(client, jsonl(row, title("two", "fra"))).json()
    assert (batch["rows"], batch["refusedRows"]) == (2, 1)
    assert client.get(f"/v2/batch/{batch['id']}/result").status_code == 200
