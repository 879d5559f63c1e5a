"""Two replicas behind Ray Serve and vllm-router: routing and failures."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .fleet import ASK, KEY, Fleet, RayFleet, RouterFleet, until
from .typists import Typists

LONG = {"prompt": "x", "max_tokens": 900, "temperature": 1, "ignore_eos": True, "stream": True}
HEADERS = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "key"
    path.touch(0o600)
    path.write_text(KEY)
    return path


@pytest.fixture
def two(ray_fleet: RayFleet) -> Iterator[RayFleet]:
    """Ray with two replicas before and after the test."""
    yield ray_fleet
    ray_fleet.deploy(2)


def test_notebook_goes_to_the_same_replica(fleet: Fleet) -> None:
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    with fleet.client() as client:
        for number in range(1000):
            session = f"notebook {number % 25}"
            answer = client.post("/v1/completions", json=ASK, headers={"x-session-id": session})
            assert answer.status_code == 200
            seen[session][answer.headers["x-replica-id"]] += 1
    assert sum(max(counts.values()) for counts in seen.values()) >= 990
    assert len({name for counts in seen.values() for name in counts}) == 2


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Authorization": "Bearer another"}, ASK, 401),
        ({}, {"prompt": [10**6]}, 400),
        ({}, {"prompt": "x" * (5 << 20)}, 413),
        ({"Origin": "https://elsewhere.example"}, ASK, 403),
    ],
)
def test_invalid_requests_are_rejected_as_without_a_router(
    fleet: Fleet, headers: dict[str, str], body: dict[str, Any], status: int
) -> None:
    with fleet.client() as client:
        assert client.post("/v1/completions", json=body, headers=headers).status_code == status
        assert client.post("/v1/completions", json=ASK).status_code == 200


async def begin(client: httpx.AsyncClient, session: str, seen: Counter[str]) -> None:
    """Send long requests, retry rejected ones, and read until cancelled."""
    headers = {"x-session-id": session}
    while True:
        async with client.stream("POST", "/v1/completions", json=LONG, headers=headers) as answer:
            seen["answered"] += 1
            if answer.status_code == 200:
                seen["open"] += 1
                async for _ in answer.aiter_raw():
                    pass
                seen["open"] -= 1
        await asyncio.sleep(0.2)


def is_seen_to_be_busy(fleet: Fleet, sessions: dict[str, str]) -> bool:
    """Start a generation and call `look`; a repetitive text may have ended by then."""
    with fleet.client() as client, client.stream("POST", "/v1/completions", json=LONG) as answer:
        parts = answer.iter_raw()  # it ends with the connection
        next(parts)
        return any(fleet.busy(sessions))


async def test_five_hundred_disconnects_cancel_all_generation(fleet: Fleet) -> None:
    seen: Counter[str] = Counter()
    sessions = fleet.sessions()
    until(lambda: is_seen_to_be_busy(fleet, sessions), "a replica that is seen to write", 30)
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=fleet.url, headers=HEADERS, timeout=60, limits=limits, trust_env=False
    ) as client:
        tasks = [asyncio.create_task(begin(client, f"{number}", seen)) for number in range(500)]
        end = time.monotonic() + 60
        while seen["open"] < 2 or seen["answered"] < 400:
            assert time.monotonic() < end, seen
            await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    end = time.monotonic() + 10
    while await asyncio.to_thread(fleet.busy, sessions) != [False, False]:
        assert time.monotonic() < end


def test_killed_replica_loses_no_completion(two: RayFleet, model: Path, key_file: Path) -> None:
    with Typists(two, model, key_file) as typists:
        typists.until_all_got(4, 60)
        two.processes_of_replicas()[0].kill()
        typists.until_all_got(8, 60)
        two.replicas(2)
        typists.until_all_got(2, 60)
    report = typists.report()
    print(report)
    assert report["lost"] == []
    assert report["worst_gap"] <= 10


def test_killed_server_behind_vllm_router_loses_no_completion(model: Path, key_file: Path) -> None:
    fleet = RouterFleet(model)
    try:
        with Typists(fleet, model, key_file) as typists:
            typists.until_all_got(4, 60)
            fleet.servers[0].process.kill()
            typists.until_all_got(8, 60)
        report = typists.report()
        print(report)
        assert report["lost"] == []
        assert report["worst_gap"] <= 10
    finally:
        fleet.stop()


def test_hanging_replica_is_replaced(two: RayFleet, model: Path, key_file: Path) -> None:
    with Typists(two, model, key_file, count=6) as typists:
        typists.until_all_got(4, 60)
        two.processes_of_replicas()[0].suspend()
        typists.until_all_got(30, 120)
    print(typists.report())
    assert len(two.replicas(2)) == 2


def test_all_replicas_gone_is_reported_and_recovers(two: RayFleet) -> None:
    for process in two.processes_of_replicas():
        process.kill()
    with two.client() as client:
        answer = client.post("/v1/completions", json=ASK)
        assert answer.status_code in {200, 503}
    assert len(two.replicas(2)) == 2


def test_removed_replica_finishes_its_completions(two: RayFleet) -> None:
    async def read_all() -> list[str]:
        async with httpx.AsyncClient(
            base_url=two.url, headers=HEADERS, timeout=120, trust_env=False
        ) as client:
            body = LONG | {"prompt": "y"}

            async def one(number: int) -> str:
                answer = await client.post(
                    "/v1/completions", json=body, headers={"x-session-id": f"{number}"}
                )
                return answer.text[-14:]

            asked = [asyncio.create_task(one(number)) for number in range(8)]
            await asyncio.sleep(0.3)
            await asyncio.to_thread(two.deploy, 1)
            return list(await asyncio.gather(*asked))

    assert asyncio.run(read_all()) == ["data: [DONE]\n\n"] * 8


def test_few_notebooks_move_when_a_replica_is_added_under_load(
    two: RayFleet, model: Path, key_file: Path
) -> None:
    sessions = [f"notebook {number}" for number in range(120)]
    before = {session: two.who_answers(session) for session in sessions}
    with Typists(two, model, key_file, count=8) as typists:
        two.deploy(3)
        typists.until_all_got(3, 60)
    after = {session: two.who_answers(session) for session in sessions}
    moved = sum(after[session] != before[session] for session in sessions) / len(sessions)
    print({"moved": moved, **typists.report()})
    assert typists.report()["lost"] == []
    assert 0 < moved <= 1.5 / 3
