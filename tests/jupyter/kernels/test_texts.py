from __future__ import annotations

from typing import Any

import pytest

from jupyter_turbopilot.analysis.texts import Readable, Texts
from jupyter_turbopilot.jupyter.kernels.texts import (
    MOST,
    MOST_ASKED,
    KernelTexts,
    read_texts,
    without_secrets,
)

REGION, KEYS = Readable("values", "df['region']"), Readable("keys", "config")


def test_texts_are_awaited_until_they_are_learned() -> None:
    texts = KernelTexts(lambda: True)
    assert texts.find(REGION) is None
    assert texts.is_awaited(REGION)
    assert texts.take_wanted() == [REGION]
    assert texts.take_wanted() == []
    texts.learn(REGION, Texts(("North",), all=True), texts.changes)
    assert texts.find(REGION) == Texts(("North",), all=True)
    assert not texts.is_awaited(REGION)


def test_texts_are_awaited_once_if_the_answer_is_late() -> None:
    texts = KernelTexts(lambda: True)
    assert texts.is_awaited(REGION)
    assert texts.is_awaited(REGION)
    assert texts.take_wanted() == [REGION]
    assert not texts.is_awaited(REGION)
    assert texts.take_wanted() == [REGION]  # it is asked for again
    texts.forget()
    assert texts.is_awaited(REGION)


def test_texts_that_cannot_be_read_are_not_awaited() -> None:
    texts = KernelTexts(lambda: True)
    texts.learn(REGION, None, texts.changes)
    assert texts.is_answered(REGION)
    assert not texts.is_awaited(REGION)
    busy = KernelTexts(lambda: False)
    assert not busy.is_awaited(REGION)
    assert busy.take_wanted() == []


def test_texts_are_forgotten_together_with_late_answers() -> None:
    texts = KernelTexts(lambda: True)
    texts.learn(REGION, Texts(("North",)), texts.changes)
    before = texts.changes
    texts.is_awaited(KEYS)
    texts.forget()
    assert texts.find(REGION) is None
    assert texts.take_wanted() == []
    texts.learn(REGION, Texts(("North",)), before)
    assert not texts.is_answered(REGION)


def test_texts_are_bounded() -> None:
    texts = KernelTexts(lambda: True)
    for number in range(2 * MOST):
        texts.learn(Readable("keys", str(number)), Texts(), texts.changes)
        texts.is_awaited(Readable("labels", str(number)))
    assert sum(texts.is_answered(Readable("keys", str(number))) for number in range(2 * MOST)) <= MOST
    assert len(texts.take_wanted()) == MOST_ASKED
    assert texts.take_wanted() == []


@pytest.mark.parametrize(
    ("code", "texts", "kept"),
    [
        ("df['region']", ("North", "South"), ("North", "South")),
        ("df['password']", ("hunter22", "letmein99"), ()),
        ("df['key']", ("North", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"), ("North",)),
        ("config", ("api_key", "path"), ("api_key", "path")),
        ("passwords", ("first server", "second1"), ("first server", "second1")),
    ],
)
def test_without_secrets_omits_values_that_look_like_credentials(
    code: str, texts: tuple[str, ...], kept: tuple[str, ...]
) -> None:
    kind = "values" if code.startswith("df") else "keys"
    found = without_secrets(Readable(kind, code), Texts(texts, all=True))  # type: ignore[arg-type]
    assert found == Texts(kept, all=kept == texts)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({"texts": [[["North"], True], None]}, {REGION: Texts(("North",), all=True), KEYS: None}),
        ({"texts": []}, {}),
        ({"texts": [[["North"], True]]}, {REGION: Texts(("North",), all=True)}),
        ({"texts": [["North"]]}, {}),
        ({"texts": 3}, {}),
        ({}, {}),
        (None, {}),
    ],
)
def test_read_texts_has_nothing_where_an_answer_is_missing_or_invalid(
    data: Any, found: dict[Readable, Texts | None]
) -> None:
    assert read_texts(data, [REGION, KEYS]) == {REGION: None, KEYS: None} | found
