import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis import resolve
from jupyter_turbopilot.analysis.resolve import Scope, bindings, binds_anything, unresolved
from jupyter_turbopilot.util import bounds
from jupyter_turbopilot.util.bounds import STATEMENT, pieces, tenant_cache

SCOPE = Scope(
    names=frozenset({"df", "np", "load", "values"}),
    attributes={"np": frozenset({"mean", "std"}), "df": frozenset({"head", "price"})},
    keywords={"load": frozenset({"path", "sep"})},
)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("x = ", "np.mean(values)"),
        ("x = ", 'df["price"].sum()'),
        ("for ", "i, row in enumerate(values):"),
        ("", "import os"),
        ("", "lambda q: q + 1"),
        ("a.np.", "other"),  # a different np
        ("df = df.", "assign(x=1)"),  # df may change here
        ("", 'with open("a") as f:\n    data = f.read()'),
        ("def f(a", "): return a"),
        ("load(values, sep=", "1)"),
        ("np.load(", "file=values)"),  # a different load
        ("# the ", "quick brown fox"),
        ("values.", "anything"),  # its attributes are unknown
        ("np.", "__version__"),
        ("load(", "lambda q=1: q)"),  # a parameter with a default
        ("x = f(", "lambda q:\n q + other)"),  # the statement continues, and may bind more names
    ],
)
def test_unresolved_accepts_existing_names(line: str, text: str) -> None:
    assert unresolved(line, text, SCOPE) == []


@pytest.mark.parametrize(
    ("line", "text", "missing"),
    [
        ("x = ", "np.meen(values)", ["meen"]),
        ("load(values, ", "seb=2)", ["seb"]),
        ("df.", "prize", ["prize"]),
        ("", "plt.plot(values)", ["plt"]),
        ("load(np.mean(values), ", "seb=2)", ["seb"]),
        ("for q in values:", "\n    print(other)", ["other"]),
    ],
)
def test_unresolved_returns_missing_names(line: str, text: str, missing: list[str]) -> None:
    assert unresolved(line, text, SCOPE) == missing


def test_unresolved_ignores_typed_text() -> None:
    assert unresolved("other + np.meen(", "values)", SCOPE) == []


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import numpy as np, os.path\nfrom a import b as c, d", {"np", "os", "c", "d"}),
        ("def f(a, *b, c=1): d = 1\nclass E: pass", {"f", "a", "b", "c", "d", "E"}),
        (
            "for i, (j, k) in x: pass\nwith a as b: pass\n[m for m in n]\n(w := 1)",
            {"i", "j", "k", "b", "m", "w"},
        ),
        ("try: pass\nexcept E as e: pass", {"e"}),
        ("a, b = 1, 2\nfor c in (", {"a", "b", "for", "c"}),  # unfinished: an overestimate
        ("from a import (b, c", {"b", "c"}),
        ("def f(self, other=1):\n    return math.", {"f", "self", "other"}),
    ],
)
def test_bindings_returns_the_names_of_a_cell(source: str, names: set[str]) -> None:
    assert bindings(source) >= names - {"for"}


@given(st.text(max_size=60), st.text(max_size=60))
def test_unresolved_accepts_any_text(line: str, text: str) -> None:
    unresolved(line, text, SCOPE)


def test_bindings_overestimate_for_a_too_long_cell() -> None:
    line = "if q in values: pass\n"
    assert bindings(line) == set()
    assert "q" in bindings(line * (STATEMENT // len(line) + 1))


@pytest.mark.parametrize("name", ["größe", "µ", "Å", "नाम", "ﬁt", "é"])  # noqa: RUF001
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_unresolved_normalizes_unicode_names(name: str, form: str) -> None:
    scope = Scope(names=frozenset({unicodedata.normalize("NFKC", name)}))
    written = unicodedata.normalize(form, name)
    for at in range(len(written)):
        assert not unresolved(f"x = {written[:at]}", f"{written[at:]} * 2", scope)
        assert unresolved(f"x = {written[:at]}", f"{written[at:]}_ * 2", scope)


def test_bindings_normalizes_names_of_unfinished_cells() -> None:
    assert "μ" in bindings("µ = 3\nf(")  # noqa: RUF001
    assert "größe" in bindings(unicodedata.normalize("NFD", "größe = 3\nf("))


@given(st.lists(st.sampled_from(["%%time a", "from a import *", "x = 1", "", "%%R x"]), max_size=9))
def test_binds_anything_searches_pieces_of_a_source(lines: list[str]) -> None:
    source = "\n".join(lines)
    scanned: list[str] = []

    def noted(text: str) -> Iterator[str]:
        for piece in pieces(text):
            scanned.append(piece)
            yield piece

    expected = any(map(binds_anything, lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "_PIECE", 1)
        patch.setattr(resolve, "pieces", noted)
        with tenant_cache(f"pieces {source}"):  # not the result above
            assert binds_anything(source) is expected
    assert all("\n" not in piece[1:-1] for piece in scanned)
    assert bool(scanned) is bool(source)
