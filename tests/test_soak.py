"""The soak's own parts; it runs by hand: `python benchmarks/hostile.py`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import awkward
import hostile


def test_a_case_is_made_again_from_its_name() -> None:
    names = [awkward.name_of(7, number) for number in range(60)]
    assert len({name.partition(":")[0] for name in names}) > 10
    assert [awkward.sending(name) for name in names] == [awkward.sending(name) for name in names]


def test_a_person_waits_from_the_first_request_that_nothing_answered() -> None:
    events = [[0.0, 1.0, "answered"], [10.0, 1.0, "superseded"], [12.0, 3.0, "503"], [13.0, 5.0, "answered"]]
    assert hostile.gap(events, 0.0, 60.0) == (8.0, 10.0)
    assert hostile.gap([*events, [20.0, 1.0, "cut"]], 0.0, 60.0) == (40.0, 20.0)
    assert hostile.gap([], 0.0, 60.0) == (0.0, 0.0)


def test_what_should_not_be_logged_is_found() -> None:
    log = (
        f"[I 2026 ServerApp] fine\n    goes on\n[W 2026 ServerApp] 400 POST /x\n{awkward.CANARY}\n"
        '[E 2026 ServerApp] {\n      "Host": "127.0.0.1:1"\n    }\n'
        "[E 2026 ServerApp] 503 POST /turbopilot/infill (x@127.0.0.1) 1.00ms referer=None\n"
        "[E 2026 ServerApp] Uncaught\n    Traceback\n    ValueError: 5\nTask was destroyed but it is pending!\n"
    )
    found = hostile.Report()
    hostile.judge_log(found, log)
    assert found.broken == ["texts in the log", "logged E", "logged printed"]
    assert any("ValueError: N" in value for _, value in found.rows)
    assert not any("goes on" in value for _, value in found.rows)
