"""Caches serve only their tenant, whatever other users send."""

import shutil
import string
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from jupyter_turbopilot.completer import tenant as tenant_module
from jupyter_turbopilot.completer.tenant import tenant_of
from jupyter_turbopilot.engine import load_shedding
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.load_shedding import Level
from jupyter_turbopilot.engine.stepping.sequences import IDLE_CELLS
from jupyter_turbopilot.fixes import renames, repeats
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
from jupyter_turbopilot.jupyter.routes import fixes
from jupyter_turbopilot.plugins.remote.settings import TurbopilotRemote
from jupyter_turbopilot.protocol.reply import LOAD_HEADER
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.util.bounds import cached_function

from ..multi_user_service import WHO, Service
from ..scripted_engine import ScriptedEngine, pilot_with, words

Serve = Callable[..., Service]
_NUMBERS = count()


def text(length: int = 120) -> str:
    """Return a text with a new beginning; a token is a byte."""
    number = next(_NUMBERS)
    letters = string.ascii_letters
    start = letters[number % 52] + letters[number // 52 % 52]
    return (start + f"{number} = values[{number}]\n" * length)[:length]


@pytest.fixture(scope="module")
def services(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    started: dict[tuple[Any, ...], Service] = {}
    own = tmp_path_factory.mktemp("tenants") / "tiny.gguf"
    shutil.copy(tiny_model, own)

    def serve(*, named: bool = True, **settings: Any) -> Service:
        key = (named, *sorted(settings.items()))
        if key not in started:
            started[key] = Service(own, named=named, **settings)
        return started[key]

    yield serve
    for service in started.values():
        service.stop()


def test_cached_prompt_serves_only_its_tenant(services: Serve) -> None:
    service, prompt = services(), text()
    assert service.reused(prompt, "ada") == 0
    assert service.reused(prompt, "eve") == 0
    assert service.reused(prompt, "ada") == len(prompt) - 1
    assert service.reused(prompt, "eve") == len(prompt) - 1
    assert service.reused(prompt[:60] + "other", "eve") == 60
    assert service.reused(prompt[:60] + "other", "mallory") == 0


def test_suspended_sequence_serves_only_its_tenant(services: Serve) -> None:
    service, prompt = services(), text()
    service.reused(prompt, "ada")
    for _ in range(3):
        service.reused(text(IDLE_CELLS + 100), "bob")
    engine = service.pilot.worker.engine
    assert isinstance(engine, LlamaEngine)
    ids = engine.vocabulary.tokenize(prompt)
    assert not [one for one in engine.sequences.idle() if one.tokens[:100] == ids[:100]], "it is not parked"
    assert service.reused(prompt, "eve") == 0
    for _ in range(3):
        service.reused(text(IDLE_CELLS + 100), "bob")
    assert service.reused(prompt, "ada") == len(prompt) - 1


def test_share_prompts_shares_between_all_users(services: Serve) -> None:
    service, prompt = services(share_prompts=True), text()
    service.reused(prompt, "ada")
    assert service.reused(prompt, "eve") == len(prompt) - 1


def test_caller_cannot_claim_another_tenant(services: Serve) -> None:
    service, prompt = services(), text()
    service.reused(prompt, "ada", headers={"X-Session-Id": "adas"})
    tenant = tenant_of("ada")
    for salt in (tenant, "ada", ""):
        assert service.reused(prompt + "?", "eve", cache_salt=salt, tenant=tenant, user="ada") == 0
    reported = {"X-Session-Id": "adas", "X-Tenant": tenant, "X-Cache-Salt": tenant}
    assert service.reused(text(40) + prompt, "eve", headers=reported) == 0
    prompt = text()
    service.reused(prompt, "ada", headers={"X-Session-Id": "adas"})
    assert service.reused(prompt, "eve", headers=reported, cache_salt=tenant) == 0


def test_salt_only_splits_the_callers_own_cache(services: Serve) -> None:
    service, prompt = services(), text()
    service.reused(prompt, "ada", cache_salt="one")
    assert service.reused(prompt, "ada", cache_salt="other") == 0
    assert service.reused(prompt, "eve", cache_salt="one") == 0
    assert service.reused(prompt, "ada") == 0
    assert service.reused(prompt, "ada", cache_salt="one") == len(prompt) - 1


def before(engine: Service, tmp_path: Path) -> Service:
    """Start a front server that authenticates with its key."""
    settings = Turbopilot(engine="remote")
    (tmp_path / "key").touch(0o600)
    (tmp_path / "key").write_text("key")
    settings.section(TurbopilotRemote).url = f"http://127.0.0.1:{engine.port}/v1"
    settings.section(TurbopilotRemote).key_file = str(tmp_path / "key")
    settings.section(TurbopilotRemote).vocabulary = engine.pilot.settings.model
    return Service(tmp_path, pilot=Pilot(settings))


def test_two_front_servers_keep_their_users_separate(
    services: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = services(named=False)
    fronts = [before(engine, tmp_path) for _ in range(2)]
    prompt = text()

    def reused(number: int, name: str) -> int:
        monkeypatch.setattr(tenant_module, "SECRET", f"{number}".encode())  # they are processes of their own
        return fronts[number].reused(prompt, name)

    try:
        # The engine cannot identify the same user of another front server, so it evaluates the text once for each.
        assert [reused(number, name) for name in ("ada", "eve") for number in range(2)] == [0] * 4
        assert [reused(number, "ada") for number in range(2)] == [len(prompt) - 1] * 2
        assert engine.reused(prompt, "ada") == 0, "tenants of front servers are not tenants of the engine"
    finally:
        for front in fronts:
            front.stop()


# Cached completions and drafts, with a scripted engine ------------------------------------


@pytest.fixture
def scripted(tiny_model: Path, tmp_path: Path) -> Iterator[Service]:
    own = tmp_path / "tiny.gguf"
    shutil.copy(tiny_model, own)
    engine = ScriptedEngine("a + b + c")
    pilot = pilot_with(Turbopilot(model=str(own), yield_cpu=False), lambda *_: engine)
    service = Service(own, pilot=pilot)
    yield service
    service.stop()


def asked(service: Service) -> list[Any]:
    engine = service.pilot.worker.engine
    assert isinstance(engine, ScriptedEngine)
    return engine.asks


CELL = {"cells": [{"source": "total = "}], "offset": 8, "path": "shared.ipynb", "trigger": "invoke"}


def test_cached_completion_serves_only_its_tenant(scripted: Service) -> None:
    first = scripted.post("complete", CELL, "ada")
    assert first["items"]
    scripted.post("complete", CELL, "ada")
    assert len(asked(scripted)) == 1
    scripted.post("complete", CELL, "eve")
    assert len(asked(scripted)) == 2
    assert not asked(scripted)[-1].hint


@pytest.mark.parametrize(
    ("route", "module", "name", "body"),
    [
        ("fix", fixes, "find_fixes", {"failed": 0, "error": {"name": "NameError"}}),
        ("rename", renames, "find", {"active": 0, "before": "b = 1"}),
        ("repeat", repeats, "rule_of", {"active": 0, "before": "b = 1"}),
    ],
)
def test_edit_routes_cache_results_by_tenant(
    scripted: Service, monkeypatch: pytest.MonkeyPatch, route: str, module: Any, name: str, body: Any
) -> None:
    calls: list[str] = []
    cached = cached_function(10_000)(calls.append)
    monkeypatch.setattr(module, name, lambda *_: cached("a"))
    for who in ("ada", "eve", "ada", "eve"):
        scripted.post(route, {"cells": [{"source": "a = 1"}]} | body, who)
    assert len(calls) == 2


def test_previous_completion_drafts_only_for_its_tenant(scripted: Service) -> None:
    body = {"prompt": "total = ", "n_predict": 8, "temperature": 0}
    for _ in range(2):
        scripted.post("completion", body, "ada")
    assert asked(scripted)[-1].hint
    scripted.post("completion", body, "eve")
    assert not asked(scripted)[-1].hint


def test_accepted_text_drafts_for_no_other_tenant(scripted: Service) -> None:
    scripted.post("complete", CELL, "ada")
    typed = CELL | {"cells": [{"source": "total = a +"}], "offset": 11}
    scripted.post("complete", typed, "eve")
    assert not asked(scripted)[-1].hint
    count = len(asked(scripted))
    scripted.post("complete", typed, "ada")
    assert len(asked(scripted)) == count or asked(scripted)[-1].hint


def test_editor_id_of_another_user_continues_nothing(scripted: Service) -> None:
    body = CELL | {"client": "notebook", "trigger": "automatic", "eagerness": "always"}
    for name in ("ada", "eve"):
        scripted.post("complete", body, name)
    one, other = asked(scripted)
    assert one.tenant != other.tenant
    assert not other.hint
    assert scripted.pilot.completer.counters["continued"] == 0


def test_engine_receives_anonymous_tenant_and_session_ids(scripted: Service) -> None:
    for name in ("ada", "ada", "eve"):
        scripted.post("complete", CELL | {"max_tokens": 1 + len(asked(scripted))}, name)
    one, again, other = asked(scripted)
    assert (one.tenant, one.session) == (again.tenant, again.session)
    assert one.tenant != other.tenant
    assert one.session != other.session, "the same path is another notebook"
    for reported in (one.tenant, one.session):
        assert set(reported) <= set("0123456789abcdef")
        assert len(reported) == 32


def test_session_id_of_another_user_is_separate(scripted: Service) -> None:
    for number, name in enumerate(("ada", "ada", "eve")):
        body = {"prompt": f"x{number}", "max_tokens": 1}
        scripted.post("v1/completions", body, name, **{"X-Session-Id": "adas"})
    one, again, other = asked(scripted)
    assert one.session == again.session != other.session
    assert "adas" not in one.session


@pytest.mark.parametrize("named", [True, False])
def test_salt_names_a_caller_only_with_a_trusted_key(tiny_model: Path, tmp_path: Path, named: bool) -> None:
    own = tmp_path / "tiny.gguf"
    shutil.copy(tiny_model, own)
    pilot = pilot_with(Turbopilot(model=str(own)), lambda *_: ScriptedEngine("a"))
    service = Service(own, pilot=pilot, named=named)
    callers: list[str] = []
    submit = pilot.completer.submit

    def noted(request: Any, listener: Any, admission: Any) -> Any:
        callers.append(admission.caller)
        return submit(request, listener, admission)

    pilot.completer.submit = noted  # type: ignore[method-assign]
    try:
        for salt in ("one", "other", "one"):
            body = {"prompt": "x", "max_tokens": 1, "cache_salt": salt}
            service.post("v1/completions", body, "ada")
    finally:
        service.stop()
    assert len(set(callers)) == (1 if named else 2)


def test_log_contains_no_user_and_no_text(services: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    service, prompt = services(), text()
    service.reused(prompt, "ada-lovelace", headers={"X-Session-Id": "a-session"}, cache_salt="a-salt")
    tenant = tenant_of("ada-lovelace")
    message = "\n".join(record.getMessage() for record in caplog.records if "httpcore" not in record.name)
    for secret in (tenant, "a-salt", "a-session", prompt[:20], "ada-lovelace", WHO):
        assert secret not in message


@pytest.mark.parametrize("named", [True, False])
def test_only_managers_see_total_timings(services: Serve, named: bool) -> None:
    service = services(named=named)
    service.reused(text(), "ada")
    headers = {WHO: "eve", "Authorization": "Bearer key"}
    assert service.client.get("/metrics", headers=headers).status_code == (403 if named else 200)
    for path in ("/health", "/v1/health"):
        health = service.client.get(path, headers=headers).json()
        assert (health["ready"], health["last_ms"] is None) == (True, named)


def test_overloaded_service_refuses_its_busiest_users(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_shedding, "THRESHOLDS", {Level.REFUSE_BUSIEST: 0.0})
    own = shutil.copy(tiny_model, tmp_path / "tiny.gguf")
    settings = Turbopilot(model=str(own), yield_cpu=False)
    service = Service(own, pilot=pilot_with(settings, lambda *_: ScriptedEngine(words(60), pause=0.005)))

    def ask(who: str, trigger: str) -> httpx.Response:
        source = f"x{next(_NUMBERS)} = "
        body = {"cells": [{"source": source}], "offset": len(source), "trigger": trigger}
        return service.client.post("/complete", json=body, headers={WHO: who})

    try:
        for who in ("ada", "ada", "ada", "bob"):
            ask(who, "invoke")
        refused, other, invoked = ask("ada", "automatic"), ask("eve", "automatic"), ask("ada", "invoke")
    finally:
        service.stop()
    assert (refused.json()["error"]["code"], refused.headers["Retry-After"]) == ("overloaded", "5")
    assert refused.headers[LOAD_HEADER] == "3"
    assert (other.status_code, other.headers[LOAD_HEADER]) == (200, "2")
    assert invoked.status_code == 200
