from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from jupyter_turbopilot.completer.completer import EVENTS
from jupyter_turbopilot.engine.load_shedding import Level
from jupyter_turbopilot.jupyter.metrics import Metrics, outcome_of
from jupyter_turbopilot.protocol.errors import BusyError, EngineError
from jupyter_turbopilot.protocol.reply import Item, Reply, Timings


@pytest.fixture
def pilot() -> Any:
    counters = dict.fromkeys(EVENTS, 0)
    counters |= {"shown": 4, "accepted": 3, "dismissed": 2, "hidden": 1, "cache_hits": 7, "continued": 6}
    counters |= {"index_matches": 8, "read": 9}
    worker = SimpleNamespace(
        state=SimpleNamespace(ready=True),
        waiting=5,
        engine=None,
        level=lambda: Level.SHORT_SUGGESTIONS,
        seconds_by_caller=lambda: {"user:ada": 2.5, "user:bob": 0.5},
    )
    return SimpleNamespace(worker=worker, completer=SimpleNamespace(counters=counters, secret=b"key"))


@pytest.fixture
def metrics(pilot: Any) -> Metrics:
    return Metrics(pilot)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


def test_evaluated_and_reused_tokens_are_counted_separately(metrics: Metrics) -> None:
    metrics.measure(Timings(prompt_tokens=100, cached_tokens=90, predicted_tokens=8, predicted_ms=500))
    metrics.measure(Timings(prompt_tokens=5, cached_tokens=9))
    assert value(metrics, "turbopilot_prompt_tokens_total", source="evaluated") == 10
    assert value(metrics, "turbopilot_prompt_tokens_total", source="reused") == 99
    assert value(metrics, "turbopilot_predicted_tokens_total") == 8


def test_speed_covers_completions_of_several_tokens(metrics: Metrics) -> None:
    metrics.measure(Timings(predicted_tokens=10, predicted_ms=500))
    metrics.measure(Timings(predicted_tokens=1, predicted_ms=500))
    metrics.measure(Timings(predicted_tokens=10, predicted_ms=0))
    assert value(metrics, "turbopilot_tokens_per_second_count") == 1
    assert value(metrics, "turbopilot_tokens_per_second_sum") == pytest.approx(20)


def test_gauges_are_current(metrics: Metrics, pilot: Any) -> None:
    assert value(metrics, "turbopilot_ready") == 1
    assert value(metrics, "turbopilot_queue") == 5
    assert value(metrics, "turbopilot_load_level") == 2
    assert (value(metrics, "turbopilot_memory_bytes") or 0) > 1_000_000
    assert value(metrics, "turbopilot_cache_hits_total") == 7
    assert value(metrics, "turbopilot_index_matches_total") == 8
    assert value(metrics, "turbopilot_read_total") == 9
    assert value(metrics, "turbopilot_continued_total") == 6
    for event, count in (("shown", 4), ("accepted", 3), ("dismissed", 2), ("hidden", 1)):
        assert value(metrics, "turbopilot_suggestions_total", event=event) == count
    pilot.worker.state.ready, pilot.worker.waiting = False, 0
    assert (value(metrics, "turbopilot_ready"), value(metrics, "turbopilot_queue")) == (0, 0)


def test_load_of_users_is_shown_on_request_without_their_names(metrics: Metrics) -> None:
    assert b"user_seconds" not in metrics.text()
    text = metrics.text(with_users=True)
    families = {family.name: family for family in text_string_to_metric_families(text.decode())}
    samples = [each for each in families["turbopilot_user_seconds"].samples if each.name.endswith("_total")]
    assert sorted(sample.value for sample in samples) == [0.5, 2.5]
    assert len({sample.labels["user"] for sample in samples}) == 2
    assert b"ada" not in text


ITEMS = (Item("x", 0.9, "stop"),)
OUTCOMES: list[tuple[Reply, dict[str, bool], str]] = [
    (Reply("", items=ITEMS), {"has_text": True}, "completed"),
    (Reply(""), {}, "empty"),
    (Reply(""), {"is_awaited": False}, "completed"),
    (Reply("", finish_reason="deadline"), {}, "timed_out"),
    (Reply("", items=ITEMS, finish_reason="deadline"), {"has_text": True}, "completed"),
    (Reply("", finish_reason="superseded"), {"has_text": True}, "superseded"),
    (Reply("", finish_reason="disconnected"), {}, "disconnected"),
    (Reply("", finish_reason="disconnected"), {"has_text": True, "is_late": True}, "completed"),
    (Reply("", finish_reason="disconnected"), {"is_late": True}, "timed_out"),
    (Reply("", finish_reason="yielded"), {"is_awaited": False}, "yielded"),
    (Reply("", error=BusyError("Later.")), {}, "refused"),
    (Reply("", items=ITEMS, finish_reason="error"), {"has_text": True}, "failed"),
    (Reply("", error=EngineError("No.")), {"has_text": True}, "failed"),
]


@pytest.mark.parametrize(("reply", "circumstances", "outcome"), OUTCOMES)
def test_outcome_of_a_request(reply: Reply, circumstances: dict[str, bool], outcome: str) -> None:
    usual = {"has_text": False, "is_awaited": True, "is_late": False}
    assert outcome_of(reply, **(usual | circumstances)) == outcome
