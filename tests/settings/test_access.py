from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.protocol.errors import DisabledError
from jupyter_turbopilot.settings.access import (
    DENIED,
    ENABLED,
    LOCAL_ENGINES,
    OFF,
    ONLY_REMOTE,
    PATHLESS,
    Access,
    access_of,
)
from jupyter_turbopilot.settings.config import Turbopilot

ROOT = "/home/ada"


def denying(*patterns: str, root: str = ROOT, folds_case: bool = False) -> Access:
    settings = Turbopilot(denied_paths=list(patterns))
    access = access_of(settings, {}, root, folds_case=folds_case)
    assert not access.reason
    return access


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("exams/**", "exams/a.ipynb"),
        ("exams/**", "exams/2026/day 1/a.ipynb"),
        ("exams/**", "exams"),
        ("exams", "exams/2026/a.ipynb"),
        ("exams/", "exams/a.ipynb"),
        ("/exams/*", "exams/2026/a.ipynb"),
        ("exams\\**", "exams\\a.ipynb"),
        ("exam-20??", "exam-2026/a.ipynb"),
        ("[ab]/exam", "[ab]/exam/x.py"),
        ("*exam*", "an-exam-1/a.ipynb"),
        ("exams/**/*", "exams"),
        ("projects/*/*", "projects/x/a.ipynb"),
        ("?", "a/b.ipynb"),
        ("*/*", "a/b.ipynb"),
        ("./~ada", "~ada/a.ipynb"),
        ("courses/*/exam/**", "courses/physics/exam/a.ipynb"),
        ("**/exam", "exam/a.ipynb"),
        ("**/exam", "a/b/exam/c/d.ipynb"),
        ("**/exam-*.ipynb", "courses/exam-1.ipynb"),
        ("a/**/b/**/c", "a/b/x/y/c/z.ipynb"),
        # Other forms of a path.
        ("exams/**", "/exams/a.ipynb"),
        ("exams/**", "RTC:exams/a.ipynb"),
        ("exams/**", "RTC:drive:exams/a.ipynb"),
        ("exams/**", "RTC:drive:/exams/a.ipynb"),
        ("exams/**", "/RTC:./drive:../exams/a.ipynb"),
        ("exams/**", "a:b:c:d:e:f:g:exams/a.ipynb"),
        ("drive:exams/**", "RTC:drive:exams/a.ipynb"),
        ("exams/**", "./exams//a.ipynb"),
        ("exams/**", "work/../exams/a.ipynb"),
        ("exams/**", "../../exams/a.ipynb"),
        ("exams/**", "/home/ada/exams/a.ipynb"),
        ("/home/ada/exams/**", "exams/a.ipynb"),
        ("/home/*/exams", "exams/a.ipynb"),
        ("/home/**", "any.ipynb"),
        ("pr\u00fcfung/**", "pru\u0308fung/a.ipynb"),
        ("exams/**", ""),
    ],
)
def test_access_denies(pattern: str, path: str) -> None:
    assert not denying("other", pattern).allows(path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("exams/**", "a.ipynb"),
        ("exams/**", "courses/exams/a.ipynb"),
        ("exams/**", "exams-old/a.ipynb"),
        ("exams/**", "Exams/a.ipynb"),
        ("exams/**", "exams/../a.ipynb"),
        ("exams/a*", "exams/b.ipynb"),
        ("[ab]/exam", "b/exam/x.py"),
        ("projects/*/*", "projects/a.ipynb"),
        ("projects/*/**/*", "projects/a.ipynb"),
        ("?", "ab.ipynb"),
        ("*/*", "a.ipynb"),
        ("courses/*/exam", "courses/exam/a.ipynb"),
        ("**/exam", "courses/exam-1.ipynb"),
        ("home/ada/exams", "exams/a.ipynb"),
        ("/srv/exams/**", "exams/a.ipynb"),
    ],
)
def test_access_allows(pattern: str, path: str) -> None:
    access = denying("other", pattern)
    assert access.allows(path)
    access.check(path)


def test_access_ignores_case_where_the_file_system_does() -> None:
    access = denying("Exams/**", root="C:\\Users\\Ada", folds_case=True)
    for path in ("exams/a.ipynb", "EXAMS\\a.ipynb", "c:\\users\\ada\\exams\\a.ipynb"):
        assert not access.allows(path)


def test_absolute_patterns_match_the_root_folder_without_links(tmp_path: Path) -> None:
    (real := tmp_path / "real").mkdir()
    (link := tmp_path / "link").symlink_to(real)
    access = denying(f"{real.as_posix()}/exams/**", f"{link.as_posix()}/solutions", root=str(link))
    for path in ("exams/a.ipynb", "solutions/a.ipynb", f"{real.as_posix()}/exams/a.ipynb"):
        assert not access.allows(path)
    assert access.allows("a.ipynb")


@pytest.mark.parametrize("form", ["{}", "/{}", "RTC:{}", "RTC:drive:{}", "{root}/{}"])
@pytest.mark.parametrize("path", ["course/exams/a.ipynb", "x/a.ipynb", "exams", "y/b.ipynb"])
def test_check_file_follows_links(tmp_path: Path, path: str, form: str) -> None:
    course, root = tmp_path / "course", tmp_path / "ada"
    for folder in (course / "exams", root / "exams", root / "work"):
        folder.mkdir(parents=True)
    (root / "course").symlink_to(course)
    (root / "x").symlink_to("work/../exams")
    (root / "y").symlink_to(root / "x")
    access = denying("exams/**", f"{course.as_posix()}/exams/**", root=str(root))
    with pytest.raises(DisabledError, match=DENIED):
        access.check_file(form.format(path, root=root.as_posix()))
    for allowed in ("course/a.ipynb", "work/a.ipynb", "missing/a.ipynb", "a\0b", ""):
        access.check_file(allowed)
    (root / "x").unlink()
    (root / "x").symlink_to("work")
    access.check_file("x/a.ipynb")


def test_check_file_returns_the_files_below_the_root_folder_or_outside(tmp_path: Path) -> None:
    (root := tmp_path / "root").mkdir()
    (root / "inside").symlink_to(".env")
    (root / "outside").symlink_to(tmp_path / ".ssh" / "config")
    access = denying(root=str(root))
    assert access.check_file("inside") == [".env"]
    assert access.check_file("outside") == [f"{tmp_path.resolve().as_posix()[1:]}/.ssh/config"]


def test_access_without_patterns_allows_requests_without_a_path() -> None:
    access = denying()
    access.check()
    access.check("")
    assert access.allows("")


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ((), PATHLESS),
        (("", ""), PATHLESS),
        (("exams/a.ipynb", "a.ipynb"), DENIED),
        (("a.ipynb", "exams/a.ipynb"), DENIED),
    ],
)
def test_check_refuses_denied_and_unknown_paths(paths: tuple[str, ...], message: str) -> None:
    with pytest.raises(DisabledError, match=message) as raised:
        denying("exams/**").check(*paths)
    assert (raised.value.code, raised.value.status) == ("disabled", 403)


@pytest.mark.parametrize(
    ("enabled", "environment", "off"),
    [
        (True, None, False),
        (False, None, True),
        (True, "", False),
        (True, "1", False),
        (False, "1", True),
        (True, "0", True),
        (True, " False ", True),
    ],
)
def test_access_is_off_by_setting_or_environment(enabled: bool, environment: str | None, off: bool) -> None:
    environ = {} if environment is None else {ENABLED: environment}
    access = access_of(Turbopilot(enabled=enabled), environ)
    assert access == (Access(OFF) if off else Access(folds_case=access.folds_case))
    assert access.allows("a.ipynb") is not off


@pytest.mark.parametrize(
    "pattern", ["**", "*", "**/*", "/", "", ".", "*/**", "?*", "/**", "../exams", "a/../b", "~/exams"]
)
def test_access_is_off_with_an_invalid_pattern(pattern: str) -> None:
    access = access_of(Turbopilot(denied_paths=["exams", pattern]), {}, ROOT)
    assert access.is_invalid
    assert repr(pattern) in access.reason
    with pytest.raises(DisabledError):
        access.require_enabled()


@pytest.mark.parametrize("name", [ENABLED, LOCAL_ENGINES])
def test_access_is_off_with_an_invalid_variable(name: str) -> None:
    access = access_of(Turbopilot(), {name: "perhaps"})
    assert access.is_invalid
    assert f"{name} must be 0 or 1, not 'perhaps'" in access.reason


@pytest.mark.parametrize(
    ("engine", "environment", "reason"),
    [
        ("llama", "0", ONLY_REMOTE),
        ("transformers", "no", ONLY_REMOTE),
        ("remote", "0", ""),
        ("llama", "1", ""),
        ("llama", "", ""),
    ],
)
def test_local_engines_are_off_by_environment(engine: str, environment: str, reason: str) -> None:
    access = access_of(Turbopilot(engine=engine), {LOCAL_ENGINES: environment})
    assert access.reason == reason
    assert access.only_remote == (engine == "remote")


@given(st.lists(st.text(max_size=20), max_size=3), st.text(max_size=40))
def test_access_decides_for_any_text(patterns: list[str], path: str) -> None:
    access = access_of(Turbopilot(denied_paths=patterns), {}, ROOT)
    assert access.allows(path) in {True, False}


def matches(parts: list[str], pattern: list[str]) -> bool:
    """Return whether a pattern matches a path or a folder above it, one part after the other."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(matches(parts[skipped:], pattern[1:]) for skipped in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and matches(parts[1:], pattern[1:])


NAMES = st.text("ab.", min_size=1, max_size=4).filter(lambda name: name.strip("."))
# Patterns start with a name, so that they are valid, and end with one.
PATTERNS = st.tuples(
    NAMES,
    st.lists(st.just("**") | st.text("ab*?", min_size=1, max_size=5).filter(lambda name: "**" not in name)),
    st.text("ab*?", min_size=1, max_size=5).filter(lambda name: set(name) != {"*"}),
).map(lambda found: [found[0], *found[1], found[2]])


@given(st.lists(PATTERNS, min_size=1, max_size=3), st.lists(NAMES, min_size=1, max_size=8))
def test_access_decides_like_a_comparison_of_each_part(patterns: list[list[str]], parts: list[str]) -> None:
    access = denying(*map("/".join, patterns), root="")
    for path in (parts, [patterns[0][0], *parts]):
        assert access.allows("/".join(path)) is not any(matches(path, pattern) for pattern in patterns)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("**/a/**/a/**/a/**/b", "a/" * 2000),
        ("*a*a*a*a*a*a*b", "a" * 4000),
        ("**/*a*a*a*/**/*a*a*a*b", ("a" * 50 + "/") * 80),
        ("**/" + "?" * 60 + "b", "a" * 4000),
    ],
)
def test_access_of_many_wildcards_is_decided_fast_enough_to_finish(pattern: str, path: str) -> None:
    assert denying(pattern).allows(path)


def test_identity_distinguishes_the_denied_paths_whatever_their_order() -> None:
    def identity(*paths: str, root: str = "") -> str:
        return access_of(Turbopilot(denied_paths=[*paths]), {}, root).identity()

    assert identity() == ""
    assert identity("a/**", "b") == identity("b", "a", "a/") != ""
    assert len({identity("a"), identity("b"), identity("a", "b"), identity("/a")}) == 4
