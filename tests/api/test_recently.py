"""Answers made once for all who ask within a moment."""

import threading
import time
from types import SimpleNamespace

import pytest

from api.recently import Recently


def test_an_answer_is_made_once_until_it_is_old(monkeypatch):
    made, now = [], [1000.0]
    monkeypatch.setattr("api.recently.time", SimpleNamespace(monotonic=lambda: now[0]))
    recently = Recently(0.05)
    for _ in range(3):
        assert recently.get("a", lambda: made.append(1) or len(made)) == 1
    now[0] += 0.06
    assert recently.get("a", lambda: made.append(1) or len(made)) == 2


def test_each_question_has_its_own_answer():
    recently = Recently(60)
    assert [recently.get(key, lambda key=key: key) for key in ("a", "b", "a")] == ["a", "b", "a"]


def test_of_many_who_ask_at_once_one_makes_it():
    recently, made, answers = Recently(60), [], []

    def make():
        made.append(1)
        time.sleep(0.1)
        return "it"

    asking = [
        threading.Thread(target=lambda: answers.append(recently.get("a", make))) for _ in range(8)
    ]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    assert (len(made), answers) == (1, ["it"] * 8)


def test_what_failed_is_asked_again():
    recently = Recently(60)
    with pytest.raises(ZeroDivisionError):
        recently.get("a", lambda: 1 // 0)
    assert recently.get("a", lambda: 5) == 5


def test_it_does_not_remember_more_than_it_may():
    recently = Recently(60, most=10)
    for number in range(100):
        recently.get(number, lambda number=number: number)
    assert len(recently._known) <= 11
