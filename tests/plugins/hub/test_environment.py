from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.plugins.hub.environment import DESCRIPTIONS, Service, read_environment
from jupyter_turbopilot.protocol.errors import BadRequestError

GIVEN = {
    "JUPYTERHUB_SERVICE_NAME": "turbopilot",
    "JUPYTERHUB_API_URL": "http://127.0.0.1:8081/hub/api",
    "JUPYTERHUB_SERVICE_PREFIX": "/services/turbopilot/",
    "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:10101",
}


def test_environment_gives_address_and_prefix() -> None:
    assert read_environment(GIVEN) == Service(
        "turbopilot", "http://127.0.0.1:8081/hub/api", "127.0.0.1", 10101, "/services/turbopilot/"
    )


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_missing_or_empty_variables_are_named(name: str) -> None:
    for environment in (
        GIVEN | {name: ""},
        {other: value for other, value in GIVEN.items() if other != name},
    ):
        with pytest.raises(BadRequestError, match="hub-config") as refused:
            read_environment(environment)
        assert [other for other in DESCRIPTIONS if other in refused.value.message] == [name]


def test_name_defaults_to_the_last_part_of_the_prefix() -> None:
    environment = GIVEN | {"JUPYTERHUB_SERVICE_NAME": "", "JUPYTERHUB_SERVICE_PREFIX": "base//services/ghost"}
    service = read_environment(environment)
    assert (service.name, service.prefix) == ("ghost", "/base/services/ghost/")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JUPYTERHUB_SERVICE_URL", "127.0.0.1:10101"),
        ("JUPYTERHUB_SERVICE_URL", "http://127.0.0.1"),
        ("JUPYTERHUB_SERVICE_URL", "http://127.0.0.1:port"),
        ("JUPYTERHUB_SERVICE_URL", "http://[::1:10101"),
        ("JUPYTERHUB_SERVICE_URL", "https://127.0.0.1:10101"),
        ("JUPYTERHUB_API_URL", "ftp://hub/api"),
        ("JUPYTERHUB_API_URL", "hub/api"),
    ],
)
def test_invalid_variables_are_named(name: str, value: str) -> None:
    with pytest.raises(BadRequestError, match=name):
        read_environment(GIVEN | {name: value})


def test_service_at_the_root_requires_a_name() -> None:
    with pytest.raises(BadRequestError, match="JUPYTERHUB_SERVICE_PREFIX"):
        read_environment(GIVEN | {"JUPYTERHUB_SERVICE_NAME": "", "JUPYTERHUB_SERVICE_PREFIX": "/"})
    assert read_environment(GIVEN | {"JUPYTERHUB_SERVICE_PREFIX": "/"}).prefix == "/"


@given(st.dictionaries(st.sampled_from(sorted(GIVEN)), st.text(max_size=40)))
def test_any_environment_is_parsed_or_rejected_with_a_message(environment: dict[str, str]) -> None:
    try:
        service = read_environment(GIVEN | environment)
    except BadRequestError as refused:
        assert refused.message
    else:
        assert service.prefix.startswith("/")
        assert service.prefix.endswith("/")
        assert "//" not in service.prefix
        assert service.name
        assert service.port
