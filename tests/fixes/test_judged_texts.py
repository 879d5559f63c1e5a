from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from jupyter_turbopilot.analysis.report import read_report
from jupyter_turbopilot.analysis.texts import Readable, Texts
from jupyter_turbopilot.fixes import check
from jupyter_turbopilot.jupyter.kernels import probe
from jupyter_turbopilot.jupyter.kernels.texts import read_texts
from jupyter_turbopilot.protocol.contract import Finding
from jupyter_turbopilot.protocol.fix import apply
from jupyter_turbopilot.protocol.request import CheckRequest, FixCell

FILES = Texts(("Notes.txt", "data/", "données.csv", "orders.csv", "stock.csv.gz"), all=True)


def namespace() -> dict[str, Any]:
    statuses = ["open", "cracked", "sent", "cracked"]
    orders = pd.DataFrame({"city": ["Ulm", "Bonn"] * 2, "status": statuses, "unit price": 1.0, "quantity": 2})
    orders["day"] = pd.to_datetime(["2026-01-01"] * 4)
    people = pl.DataFrame({"team": ["alpha", "bravo"]})
    return {
        "orders": orders, "people": people, "limit": 2, "timestamp": 0, "pd": pd, "np": np, "pl": pl,
        "grouped": orders.groupby("city"), "sizes": pd.Series(["small", "large"]), "In": [""] * 9,
    }  # fmt: skip


def checked(
    source: str, *others: FixCell, texts: dict[Readable, Texts] | None = None, space: Any = None
) -> list[Finding]:
    """Return the findings in a cell. `texts`: the texts that were read, by default all."""
    request = CheckRequest(cells=[*others, FixCell(source=source, execution_count=None)], active=len(others))
    prepared = check.prepare(request)
    assert prepared
    space = namespace() if space is None else space
    report = {**probe.report(space, prepared.described, prepared.traced), "alone": True}
    values = [each for each in prepared.readings if each.kind == "values"]
    answer = read_texts(probe.texts(space, [[each.kind, each.code] for each in values]), values)
    read = {each: found for each, found in answer.items() if found}
    files = {each: FILES for each in prepared.readings if each == Readable("files", "")}
    texts = {**read, **files} if texts is None else texts
    return check.find(request, prepared, read_report(json.loads(json.dumps(report))), texts=texts)


def corrected(source: str) -> str:
    edits = [edit for each in checked(source) for fix in each.fixes for edit in fix.edits]
    return apply(source, edits)


@pytest.mark.parametrize(
    ("source", "message", "right"),
    [
        ("pd.read_csv('oders.csv')", "There is no file `oders.csv`.", "pd.read_csv('orders.csv')"),
        ("pd.read_csv('./oders.csv')", "There is no file `./oders.csv`.", "pd.read_csv('./orders.csv')"),
        ("orders.query('quantty > 2')", "`orders` has no column `quantty`.", "orders.query('quantity > 2')"),
        (
            "orders.query(\"`unit prise` > 2 and city == 'Ulm'\")",
            "`orders` has no column `unit prise`.",
            "orders.query(\"`unit price` > 2 and city == 'Ulm'\")",
        ),
        ("orders.eval('unit_price * 2')", "`orders` has no column `unit_price`.", "orders.eval('`unit price` * 2')"),
        ("orders.query(expr='quantity > @limmit')", "`limmit` is not defined.", "orders.query(expr='quantity > @limit')"),
        ("orders['city'].str.uper()", "`.str` has no attribute `uper`.", "orders['city'].str.upper()"),
        ("orders.day.dt.yaer", "`.dt` has no attribute `yaer`.", "orders.day.dt.year"),
        ("grouped['quantity'].agg('sun')", "pandas has no aggregation `sun`.", "grouped['quantity'].agg('sum')"),
        ("orders.agg({'quantity': ['min', 'meam']})", "pandas has no aggregation `meam`.", "orders.agg({'quantity': ['min', 'mean']})"),
        ("grouped['quantity'].agg(total='summ')", "pandas has no aggregation `summ`.", "grouped['quantity'].agg(total='sum')"),
        ("orders[orders.status == 'craked']", "`status` has no value `craked`.", "orders[orders.status == 'cracked']"),
        ("sizes[sizes == 'smal']", "`sizes` has no value `smal`.", "sizes[sizes == 'small']"),
        ("people.filter(pl.col('team') == 'brawo')", "`team` has no value `brawo`.", "people.filter(pl.col('team') == 'bravo')"),
        ("orders.query('status == \"Open\"')", "`status` has no value `Open`.", "orders.query('status == \"open\"')"),
    ],
)  # fmt: skip
def test_wrong_text_is_found_and_corrected(source: str, message: str, right: str) -> None:
    assert [each.message for each in checked(source)] == [message]
    assert len(message) <= 70
    assert corrected(source) == right


@pytest.mark.parametrize(
    "source",
    [
        "pd.read_csv('notes.txt')",  # a disk may ignore the case
        "pd.read_csv('donne\u0301es.csv')",  # or how an accent is written
        "np.loadtxt('stock.csv')",  # NumPy adds the ending
        "pd.read_csv('missing.csv')",
        "pd.read_csv('/oders.csv')",
        "pd.read_csv('other/oders.csv')",
        "pd.read_csv('.oders.csv')",
        "pd.read_csv(r'oders.csv')",
        "print('oders.csv')",
        "open('oders.csv', 'w')",
        "open('oders.csv', np.sqrt)",
        "print('oders.csv', pd.read_csv('oders.csv'))",
        "orders.eval('quantities = quantity * 2')",
        "orders.query('index > 1 and ilevel_0 > 1 and columns == 1')",
        "orders.agg('nth'), orders.agg('sqrt'), orders.agg('quantile', interpolation='lower')",
        "grouped.agg([('meam', 'mean')])",
        "grouped.agg('list')",
        "orders['city'].iloc[0].str.uper",
        "orders[orders.status == 'missing']",
        "orders[orders.status == 'cracked']",
        "orders[orders.status != 'craked']",
        "orders.query('day > @Timestamp(0)')",
    ],
)
def test_right_text_is_not_found(source: str) -> None:
    assert checked(source) == []


# Each step may write a file, or change a value.
@pytest.mark.parametrize(
    "step",
    [
        "np.savetxt(name, [])", "open(name, 'w').close()", "orders.to_csv(name)", "print(orders.to_csv(name))",
        "pd.DataFrame.to_csv(orders, name)", "!touch $x", "%cd data", "for x in orders.to_csv(name): pass",
        "with sizes: pass", "list(map(orders.to_csv, [name]))",
    ],
)  # fmt: skip
def test_step_that_may_write_a_file_ends_the_judgement_of_files(step: str) -> None:
    space = {**namespace(), "name": "a"}
    wrong = "pd.read_csv('oders.csv')"
    assert checked(f"{wrong}\n{step}", space=space)
    assert checked(f"{step}\n{wrong}", space=space) == []
    assert checked(wrong, FixCell(source=step, execution_count=None), space=space) == []


@pytest.mark.parametrize(
    "step",
    [
        "people.x = 1", "sizes[0] = 'craked'", "sizes += sizes", "limit += 1", "sizes.update(sizes)",
        "np.put(sizes, [0], 'x')", "sizes.fillna('x', inplace=True)", "orders.replace('a', 'x', inplace=True)",
        "orders.rename(columns=print)", "del people['team']",
    ],
)  # fmt: skip
def test_step_that_may_change_a_value_ends_the_judgement_of_values(step: str) -> None:
    wrong = "orders[orders.status == 'craked']"
    assert checked(f"{wrong}\n{step.replace('craked', 'x')}")
    assert checked(f"{step.replace('craked', 'x')}\n{wrong}") == []


@pytest.mark.parametrize(
    "step",
    [
        "%matplotlib inline", "orders.head()", "print(orders.groupby('city').size())", "import pandas as pd",
        "cheap = np.where(orders.quantity < 2, 'yes', 'no')", "orders.replace({'status': {'sent': 'gone'}})",
        "both = orders.merge(orders.rename(columns={'day': 'on'}).set_index('city'), on='status').drop(columns='on')",
    ],
)  # fmt: skip
def test_pure_step_changes_no_judgement(step: str) -> None:
    assert len(checked(f"{step}\npd.read_csv('oders.csv')\norders[orders.status == 'craked']")) == 2


@pytest.mark.parametrize("texts", [{}, Texts(("cracked",)), Texts(("cracked",), all=True), Texts(("cracked",), whole=True)])  # fmt: skip
def test_value_needs_a_column_of_which_all_is_read(texts: Any) -> None:
    read = {Readable("values", "orders['status']"): texts} if texts else {}
    assert checked("orders[orders.status == 'craked']", texts=read) == []


def test_file_needs_a_folder_of_which_all_is_read() -> None:
    files = Readable("files", "")
    assert checked("pd.read_csv('oders.csv')", texts={files: FILES._replace(all=False)}) == []
    assert checked("pd.read_csv('oders.csv')", texts={}) == []


@pytest.mark.parametrize("other", ["x = 'oders.csv craked'", "# oders.csv and craked"])
def test_text_of_another_cell_is_not_judged(other: str) -> None:
    for wrong in ("pd.read_csv('oders.csv')", "orders[orders.status == 'craked']"):
        assert checked(wrong)
        assert checked(wrong, FixCell(source=other, execution_count=3)) == []
        assert checked(wrong, FixCell(type="markdown", source=other)) == []


def test_value_of_rows_that_another_cell_may_count_is_not_judged() -> None:
    wrong = "gone = orders[orders.status == 'craked']"
    assert checked(f"{wrong}\ngone.head()")
    assert checked(wrong, FixCell(source="assert gone.empty", execution_count=3)) == []


def test_other_case_of_a_value_is_not_judged_after_the_column_was_assigned() -> None:
    tidied = FixCell(source="orders['status'] = orders.status.str.lower()", execution_count=3)
    assert checked("orders[orders.status == 'Open']")
    assert checked("orders[orders.status == 'Open']", tidied) == []
    assert checked("orders[orders.status == 'craked']", tidied)


@pytest.mark.parametrize(("magic", "number"), [("bash", 0), ("sh", 0), ("html", 1)])
def test_file_is_not_judged_below_a_script_that_has_not_run(magic: str, number: int) -> None:
    script = FixCell(source=f"%%{magic}\ncp $a $b", execution_count=None)
    assert len(checked("pd.read_csv('oders.csv')", script)) == number


def test_variable_of_another_cell_is_not_judged_in_a_query() -> None:
    wrong = "orders.query('quantity > @limmit')"
    assert checked(wrong)
    assert checked(wrong, FixCell(source="limmit = 3", execution_count=3)) == []
    assert checked(f"[{wrong} for limmit in [1]]") == []


def test_folder_of_a_check_is_that_of_the_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    report = read_report(probe.report(namespace(), [], []))
    assert (report.folder, report.folder_id) == (
        str(tmp_path), f"{tmp_path.stat().st_dev} {tmp_path.stat().st_ino}",
    )  # fmt: skip
