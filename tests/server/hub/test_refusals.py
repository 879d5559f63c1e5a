from __future__ import annotations

from jupyter_turbopilot.server.hub.refusals import (
    HubGoneError,
    NoScopeError,
    NoTokenError,
    UnknownHubTokenError,
)


def test_each_refusal_has_its_status_and_says_what_to_do() -> None:
    found = [
        (error.status, error.code) for error in (NoTokenError(), UnknownHubTokenError(), NoScopeError("x"))
    ]
    assert found == [(401, "unauthenticated"), (401, "unauthenticated"), (403, "forbidden")]
    assert "Bearer" in NoTokenError().message
    assert "start it again" in UnknownHubTokenError().message
    assert (HubGoneError().status, HubGoneError().code) == (503, "hub_gone")


def test_the_scope_that_is_missing_is_named_for_this_service() -> None:
    assert "access:services!service=ghost," in NoScopeError("ghost").message
