from __future__ import annotations

from pathlib import Path

from jupyter_turbopilot.context.facts import NONE
from jupyter_turbopilot.evaluate import notebooks, report, traces, typist
from jupyter_turbopilot.evaluate.live import Live
from jupyter_turbopilot.evaluate.resolving import ResolvedNames
from tests.evaluate.conftest import notebook
from tests.evaluate.test_typist import Knows

DATA = Path(__file__).parent.parent / "data"


def all_of(name: str) -> list[traces.Trace]:
    read = [notebook for notebook in notebooks.read(DATA) if notebook.name == name]
    return traces.of_kind(read, "append", 0)


def test_a_cell_is_typed_with_what_the_cells_above_made() -> None:
    typed = all_of("harbour.ipynb")
    with Live("python3") as live:
        first, second, *_ = (live.facts(trace) for trace in typed)
        assert not first.names
        assert [label for label, _ in second.names["ships"].columns or []] == [
            "name",
            "tonnage",
            "berth_number",
            "arrived_at",
        ]
        assert not live.failed
        found = ResolvedNames()
        live.look(found, "ships[", '"tonnage"].mean()')
        live.look(found, "ships[", '"tonnes"]')
        live.look(found, "x = ", "heavy_ships")
        assert (found.there, found.missing, found.unknown) == (1, 2, 1)


def test_a_cell_that_fails_is_told_and_typing_goes_on(tmp_path: Path) -> None:
    path = notebook(tmp_path / "a.ipynb")
    text = (path / "a.ipynb").read_text()
    (path / "a.ipynb").write_text(text.replace("values = [1, 2, 3]", "values = 1 / 0"))
    typed = traces.of_kind(notebooks.read(path), "append", 0)
    with Live("python3") as live:
        live.facts(typed[0])
        assert live.failed == {"a.ipynb": "cell 1: ZeroDivisionError: division by zero"}


def test_every_cell_is_typed_with_facts_and_without() -> None:
    local = Knows(lambda request: "swing_it(" if request.prefix.endswith("= ") else "")
    with Live("python3") as live:
        knowing, unaware = typist.beside_a_kernel(
            local,  # type: ignore[arg-type]
            all_of("pendulum.ipynb"),
            lambda _: None,
            live,
        )
    assert any("swing" in facts.names for facts in local.facts)
    assert local.facts.count(NONE) * 2 == len(local.facts)
    assert knowing.names.missing == unaware.names.missing > 0
    told = report.table({"x" + report.KNOWING: knowing, "x" + report.UNAWARE: unaware})
    assert "are missing (100.0%)" in told
    assert "times as much" in told
