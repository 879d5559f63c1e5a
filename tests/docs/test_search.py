"""Newcomers' questions, typed as they are, are answered among the first three results of the site's search."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .pages import ROOT

QUESTIONS = json.loads((ROOT / "benchmarks" / "questions.json").read_text("utf-8"))
ANSWERS = json.loads((ROOT / "benchmarks" / "answers.json").read_text("utf-8"))
WANTED = 48
RUN = 6  # words in a row, those of an error message that a question quotes excepted


def ask(site: Path, questions: list[str], *how: str) -> list[list[dict[str, Any]]]:
    script = Path(__file__).parent / "ask.cjs"
    done = subprocess.run(
        ["node", script, site, *how], input=json.dumps(questions), capture_output=True, text=True, check=True
    )
    answers: list[list[dict[str, Any]]] = json.loads(done.stdout)
    return answers


def edits(one: str, other: str) -> int:
    """Return how many letters have to be inserted, deleted or replaced to make one word of another."""
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        before, row[0] = row[0], at
        for to, wanted in enumerate(other, 1):
            before, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, before + (letter != wanted))
    return row[-1]


def not_asked_for(found: dict[str, Any]) -> list[str]:
    """Return what is marked, and is no word of the question's, in whatever form or with a typing error."""
    return [
        word
        for word, stem in zip(found["marked"], found["stems"], strict=True)
        if stem not in found["asked"]
        and not any(len(one) > 5 and edits(stem, one) <= round(len(one) / 5) for one in found["asked"])
    ]


@pytest.fixture(scope="module")
def results(site: Path) -> list[list[dict[str, Any]]]:
    return ask(site, [answer["question"] for answer in ANSWERS])


def test_every_frozen_question_has_its_answer() -> None:
    assert [answer["question"] for answer in ANSWERS] == [question["question"] for question in QUESTIONS]
    assert all(len(answer["answer"].split()) > 5 for answer in ANSWERS)


def test_the_sections_that_answer_exist(site: Path) -> None:
    for answer in ANSWERS:
        for place in answer["sections"]:
            page, _, anchor = place.partition("#")
            html = (site / f"{page}.html").read_text("utf-8")
            assert not anchor or f'id="{anchor}"' in html, place


def test_newcomers_questions_are_answered_among_the_first_three_results(
    results: list[list[dict[str, Any]]],
) -> None:
    missed = [
        f"{answer['question']}\n    wanted {answer['sections']}\n    found {[one['place'] for one in found[:3]]}"
        for answer, found in zip(ANSWERS, results, strict=True)
        if not {one["place"] for one in found[:3]} & set(answer["sections"])
    ]
    assert len(ANSWERS) - len(missed) >= WANTED, "\n".join(missed)


def test_no_page_repeats_the_questions() -> None:
    """A page that has them word for word would be found, and would prove nothing."""
    pages = [re.sub(r"\W+", " ", page.read_text("utf-8")).lower() for page in ROOT.glob("docs/*.md")]
    for question in QUESTIONS:
        own = re.sub(r'"[^"]*"', " ", question["question"])
        words = re.sub(r"\W+", " ", own).lower().split()
        runs = [" ".join(words[at : at + RUN]) for at in range(max(1, len(words) - RUN + 1))]
        assert not [run for run in runs if any(run in page for page in pages)], question["question"]


def test_a_result_shows_where_it_has_what_was_asked(site: Path, results: list[list[dict[str, Any]]]) -> None:
    # A section may have it in its heading alone.
    assert sum(not found[0]["marked"] for found in results) <= 1
    assert not [word for found in results for one in found for word in not_asked_for(one)]
    (found, *_), *_ = ask(site, ["CXXFLAGS mno-amx-tile"])
    assert found["excerpt"].startswith("… ")  # far from the section's beginning
    assert {"CXXFLAGS", "amx", "tile"} <= set(found["marked"])


def test_a_contraction_says_no_more_than_its_words(site: Path) -> None:
    whole, *others = ask(
        site,
        [
            "It does not work",
            "It doesn't work",
            "It doesn\N{RIGHT SINGLE QUOTATION MARK}t work",
            "It's that it didn't work",
        ],
    )
    assert whole
    for other in others:
        assert [one["place"] for one in other] == [one["place"] for one in whole]


def test_a_language_of_one_or_two_letters_is_found_and_nothing_else_is_marked(site: Path) -> None:
    for name in ("R", "Go"):
        for question in (name, f"{name} language"):
            (found,) = ask(site, [question])
            assert "jupyterlab#programming-languages" in [one["place"] for one in found]
            assert not [word for one in found for word in not_asked_for(one)]


def test_the_last_word_may_be_unfinished_also_where_it_has_words_for_the_same_thing(site: Path) -> None:
    whole, typing = (
        {word for one in ask(site, ["mac"], *how)[0] for word in one["marked"]} for how in ((), ("typing",))
    )
    assert "macOS" in typing
    assert "macOS" not in whole


@pytest.mark.parametrize("question", ["", "   ", "?", "xyzzyqwertz", "'\"<>&", "🎉"])
def test_what_cannot_be_found_finds_nothing_and_breaks_nothing(site: Path, question: str) -> None:
    assert ask(site, [question]) == [[]]
