import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.jupyter.identity import (
    KEY_HEADERS,
    MAX_KEY,
    has_key,
    is_key,
    is_same_site,
    may_omit_content_type,
)

KEY = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@given(KEY, st.sampled_from(KEY_HEADERS), st.sampled_from(["", "Bearer ", "token ", "Api-Key "]))
def test_key_is_found_in_each_header_and_scheme(key: str, header: str, scheme: str) -> None:
    assert is_key(key)
    assert has_key({header: scheme + key}, key)


@given(KEY, KEY)
def test_another_key_is_rejected(key: str, other: str) -> None:
    assert has_key({"Authorization": f"Bearer {other}"}, key) is (key == other)
    assert not has_key({"X-Other": key}, key)


@pytest.mark.parametrize("text", ["", "a b", "é", "a\n", "\x7f", "x" * (MAX_KEY + 1)])
def test_unsendable_key_is_invalid(text: str) -> None:
    assert not is_key(text)


@pytest.mark.parametrize(
    ("origin", "same"),
    [
        (None, True),
        ("http://here:8080", True),
        ("https://HERE:8080", True),
        ("http://here", False),
        ("http://evil.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_same_site_requires_the_same_host_and_port(origin: str | None, same: bool) -> None:
    headers = {"Host": "Here:8080"} | ({} if origin is None else {"Origin": origin})
    assert is_same_site(headers) is same


@pytest.mark.parametrize(
    ("headers", "plain"),
    [
        ({}, True),
        ({"Content-Type": "application/x-www-form-urlencoded"}, True),
        ({"Content-Type": "Multipart/form-data; boundary=x"}, False),
        ({"Origin": "http://here"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Mode": "cors"}, False),
    ],
)
def test_undeclared_body_is_accepted_only_if_no_page_can_send_it(
    headers: dict[str, str], plain: bool
) -> None:
    assert may_omit_content_type(headers) is plain
