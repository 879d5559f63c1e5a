from __future__ import annotations

import json
import math
import random
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.imports import ModuleLocation, Sources
from jupyter_turbopilot.analysis.report import KernelReport, read_report
from jupyter_turbopilot.fixes.check import MAX_EXPRESSIONS, MAX_FINDINGS, MAX_TRACED, find, prepare
from jupyter_turbopilot.jupyter.kernels import probe
from jupyter_turbopilot.protocol.contract import Finding
from jupyter_turbopilot.protocol.fix import apply
from jupyter_turbopilot.protocol.request import CheckRequest, FixCell, parse_check
from jupyter_turbopilot.util.bounds import MOST_OPERATIONS, Operations, counted_operations

mpl.use("agg")


class Owner:
    """A class of the user."""

    def __init__(self) -> None:
        self.model = self.value = 1

    @property
    def computed(self) -> int:
        return 1

    def add(self, item: int, price: int) -> None:
        pass


def load(path: str = "", separator: str = "") -> None:
    pass


def open_load(path: str, **more: Any) -> None:
    pass


def namespace() -> dict[str, Any]:
    """Return the objects of a notebook."""
    index = pd.Index(range(50), name="region")
    orders = pd.DataFrame({"unit_price": 1.0, "quantity": range(50), "Order ID": "x"}, index=index)
    owner = Owner()
    owner.table = orders  # type: ignore[attr-defined]
    return {
        "orders": orders,
        "frame": orders.copy(),
        "train": orders,  # another name of the same table
        "frames": {"orders": orders},
        "people": pl.DataFrame({"name": ["a"], "height": [1]}),
        "series": orders.quantity,
        "config": {"database": {"path": "x"}, "port": 3},
        "options": SimpleNamespace(size=3),
        "owner": owner,
        "Owner": Owner,
        "load": load,
        "open_load": open_load,
        "nothing": None,
        "total": 3,
        "scores": [1, 2],
        "np": np,
        "pd": pd,
        "plt": __import__("matplotlib.pyplot").pyplot,
        "math": math,
        "random": random,
        "utils": SimpleNamespace(load=load),
        "In": [""] * 10,
    }


def body(source: str, *others: FixCell, active: int = -1) -> bytes:
    cells = [*others, FixCell(source=source, execution_count=None)]
    encoded = [
        {
            "type": each.type,
            "source": each.source,
            "execution_count": each.execution_count,
            "changed": each.changed,
        }
        for each in cells
    ]
    return json.dumps({"cells": encoded, "active": len(others) if active < 0 else active}).encode()


def reported(described: list[str], traced: list[str], space: dict[str, Any] | None = None) -> KernelReport:
    """Return the report of a kernel in which no other code runs."""
    report = probe.report(namespace() if space is None else space, described, traced)
    return read_report(json.loads(json.dumps({**report, "alone": True})))


def find_all(request: CheckRequest, **changes: Any) -> list[Finding]:
    prepared = prepare(request)
    if prepared is None:
        return []
    report = reported(prepared.described, prepared.traced)
    return find(
        request,
        prepared,
        KernelReport(**{name: getattr(report, name) for name in report.__struct_fields__} | changes),
    )


def checked(source: str, *others: FixCell, **changes: Any) -> list[Finding]:
    """Return the findings in the last cell; check their positions and edits."""
    request = parse_check(body(source, *others))
    findings = find_all(request, **changes)
    for each in findings:
        assert 0 <= each.start < each.end <= len(source)
        for edit in (edit for fix in each.fixes for edit in fix.edits):
            assert (edit.cell, source[edit.start : edit.end]) == (request.active, edit.old)
    return findings


def corrected(source: str, *others: FixCell) -> str:
    """Return the cell after the first correction of each finding."""
    edits = [edit for each in checked(source, *others) for fix in each.fixes for edit in fix.edits]
    return apply(source, edits)


@pytest.mark.parametrize(
    ("source", "message", "right"),
    [
        ("totel + 1", "`totel` is not defined.", "total + 1"),
        ("[x for x in scroes]", "`scroes` is not defined.", "[x for x in scores]"),
        ("total = 1\nprint(total, scroes)", "`scroes` is not defined.", "total = 1\nprint(total, scores)"),
        ("orders['unit_prise']", "`orders` has no column `unit_prise`.", "orders['unit_price']"),
        ("orders.loc[:, 'quantty']", "`orders` has no column `quantty`.", "orders.loc[:, 'quantity']"),
        ("orders[orders['quantty'] > 3]", "`orders` has no column `quantty`.", "orders[orders['quantity'] > 3]"),
        ("orders.groupby('quantity').agg({'unit_prise': 'sum'})", "`orders` has no column `unit_prise`.",
         "orders.groupby('quantity').agg({'unit_price': 'sum'})"),
        ("orders = orders[orders['quantty'] > 1]", "`orders` has no column `quantty`.",
         "orders = orders[orders['quantity'] > 1]"),
        ("people['hieght']", "`people` has no column `hieght`.", "people['height']"),
        ("orders.quantty", "`orders` has no column or attribute `quantty`.", "orders.quantity"),
        ("orders.sort_vales('quantity')", "`orders` has no column or attribute `sort_vales`.",
         "orders.sort_values('quantity')"),
        ("config['databse']", "`config` has no key `databse`.", "config['database']"),
        ("config['database']['paht']", "`config['database']` has no key `paht`.", "config['database']['path']"),
        ("np.arrange(3)", "`np` has no attribute `arrange`.", "np.arange(3)"),
        ("np.random.seed(0)\nnp.random.nromal()", "`np.random` has no attribute `nromal`.",
         "np.random.seed(0)\nnp.random.normal()"),
        ("random.choise([1])", "`random` has no attribute `choise`.", "random.choice([1])"),
        ("import numpy as n\nn.zeors(3)", "`n` has no attribute `zeors`.", "import numpy as n\nn.zeros(3)"),
        ("load(orders['quantty'])", "`orders` has no column `quantty`.", "load(orders['quantity'])"),
        ("if orders['quantty'].sum() > 3:\n    pass", "`orders` has no column `quantty`.",
         "if orders['quantity'].sum() > 3:\n    pass"),
        ("some = orders[orders.quantity > 3]\nsome['quantty']", "`some` has no column `quantty`.",
         "some = orders[orders.quantity > 3]\nsome['quantity']"),
        ("orders['new'] = 1\norders['quantty']", "`orders` has no column `quantty`.",
         "orders['new'] = 1\norders['quantity']"),
        ("for name, row in orders.iterrows():\n    print(row['quantty'])", "`row` has no column `quantty`.",
         "for name, row in orders.iterrows():\n    print(row['quantity'])"),
        ("figure, axes = plt.subplots()\naxes.plot(orders['quantty'])", "`orders` has no column `quantty`.",
         "figure, axes = plt.subplots()\naxes.plot(orders['quantity'])"),
        ("%matplotlib inline\n!ls\ntotel + 1", "`totel` is not defined.", "%matplotlib inline\n!ls\ntotal + 1"),
        ("load(path=1, seperator=',')", "`load` has no parameter `seperator`.", "load(path=1, separator=',')"),
        ("for n in range(3):\n    print(totel)", "`totel` is not defined.", "for n in range(3):\n    print(total)"),
        ("owner.add(preice=3)", "`owner.add` has no parameter `preice`.", "owner.add(price=3)"),
        ("é = 1; orders['quantty']", "`orders` has no column `quantty`.", "é = 1; orders['quantity']"),
    ],
)  # fmt: skip
def test_check_finds_a_missing_name_and_the_nearest(source: str, message: str, right: str) -> None:
    assert [each.message for each in checked(source)] == [message]
    assert corrected(source) == right


@pytest.mark.parametrize(("rows", "number"), [(2, 0), (3, 1)])
def test_check_is_silent_about_a_list_that_may_group_rows(rows: int, number: int) -> None:
    space = namespace() | {"orders": namespace()["orders"].head(rows)}
    for source, expected in (
        ("orders.groupby(['quantity', 'new'])", number),
        ("orders.groupby(by=['quantity', 'new'])", number),
        ("orders.sort_values(['quantity', 'new'])", 1),
        ("orders[['quantity', 'new']]", 1),
    ):
        request = parse_check(body(source))
        prepared = prepare(request)
        assert prepared
        assert len(find(request, prepared, reported(prepared.described, prepared.traced, space))) == expected


def test_check_escapes_control_characters_in_messages() -> None:
    (finding,) = checked(r"orders['<b>\n\u202e\ud800']")
    assert finding.message == r"`orders` has no column `<b>\n\u202e\ud800`."


@pytest.mark.parametrize(
    ("source", "number"),
    [
        ("[n for n in entirely]", 1),
        ("for n in range(3):\n    entirely", 0),  # it may be a command of a plugin
        ("for n in range(3):\n    print(entirely)", 1),
        ("for n in range(0):\n    print(entirely)", 0),
        ("for n in [*scores]:\n    print(entirely)", 0),
        ("[m for n in scores for m in entirely]", 1),
        ("scores.clear()\nfor n in scores:\n    print(entirely)", 0),
        ("scores[:] = []\nfor n in scores:\n    print(entirely)", 0),
        ("del scores[0]\nfor n in scores:\n    print(entirely)", 0),
        ("scores *= 0\nfor n in scores:\n    print(entirely)", 0),
        ("pairs = enumerate(scores)\nlist(pairs)\nfor n in pairs:\n    print(entirely)", 0),
        ("for n in enumerate(scores):\n    print(entirely)", 1),
    ],
)
def test_check_judges_the_iterable_of_a_loop(source: str, number: int) -> None:
    assert len(checked(source)) == number


def test_check_has_no_fix_if_no_name_is_near() -> None:
    (finding,) = checked("orders['entirely different']")
    assert finding.fixes == []


@pytest.mark.parametrize(
    "source",
    [
        # The cell changes the object.
        "orders['new'] = 1\norders['new']",
        "orders.loc[0, 'new'] = 1\norders['new']",
        "rows = orders.loc\nrows[0, 'new'] = 1\norders['new']",
        "orders = load()\norders['new']",
        "with load() as orders:\n    pass\norders['new']",
        "import orders\norders.new",
        "def orders(): pass\norders.new",
        "del orders['quantity']\norders['quantity']",
        "orders.columns = ['new']\norders['new']",
        "orders.insert(0, 'new', 1)\norders['new']",
        "pd.DataFrame.insert(orders, 0, 'new', 1)\norders['new']",
        "orders.rename(columns=str.title, inplace=True)\norders['Quantity']",
        "load(orders)\norders['new']",
        "for name, each in {'a': orders}.items():\n    each['new'] = 1\norders['new']",
        "other = orders\nother['new'] = 1\norders['new']",
        "(other := orders)['new'] = 1\norders['new']",
        "(lambda: orders.insert(0, 'new', 1))()\norders['new']",
        "options.new = 1\noptions.new",
        "config.update(new=1)\nconfig['new']",
        "config |= {'new': 1}\nconfig['new']",
        "config.setdefault('new', 1)\nconfig['new']",
        "config.__setitem__('new', 1)\nconfig['new']",
        "dict.update(config, new=1)\nconfig['new']",
        "list(map(config.setdefault, ['new']))\nconfig['new']",
        "setattr(options, 'new', 1)\noptions.new",
        # The object has another name, or another object changes it.
        "train['new'] = 1\norders['new']",
        "train['new'] = 1\norders[orders.new > 0]['new']",
        "train['new'] = 1\nsome = orders.copy()\nsome['new']",
        "for n in range(3):\n    train[f'new{n}'] = n\norders['new1']",
        "frames['orders']['new'] = 1\norders['new']",
        "for key in frames:\n    frames[key]['new'] = 1\norders['new']",
        "for key, each in frames.items():\n    each.insert(0, 'new', 1)\norders['new']",
        "each = {}\nfor n in range(2):\n    each['new'] = n\n    each = orders\norders['new']",
        "use = len\nfor n in range(2):\n    use([1])\n    use = load\norders['new']",
        "every = enumerate(use(n) for n in scores)\nuse = load\nlist(every)\norders['new']",
        "owner.table['new'] = 1\norders['new']",
        "owner.add()\norders['new']",
        "owner.computed\norders['new']",
        "load()\nprint(newname)",
        "orders.pipe(lambda each: each.insert(0, 'new', 1))\norders['new']",
        "orders.apply(load)\ntrain['new']",
        "max(scores, key=load)\norders['new']",
        "f'{owner}'\norders['new']",
        "owner + 1\norders['new']",
        "owner in [1]\norders['new']",
        "@load\nclass Geo:\n    pass\norders.geo",
        "class Geo(Owner):\n    pass\norders.geo",
        "Owner.new = 1\nowner.new",
        "math.clamp = load\nmath.clamp(1)",
        "import importlib\nimportlib.reload(utils)\nutils.new()",
        "import other_module\norders['new']",
        "from other import *\norders['new']",
        "%store -r\norders['new']",
        "%time load()\norders['new']",
        "!ls {load()}\norders['new']",
        "globals()['newname'] = 1\nnewname",
        "exec('newname = 1')\nnewname",
        "raise SystemExit\nnewname",
        "await load()\nnewname",
        # The code may not be executed, or its error may pass.
        "try:\n    orders['new']\nexcept KeyError:\n    pass",
        "if 'new' in orders:\n    orders['new']",
        "orders['new'] if 'new' in orders else 0",
        "hasattr(options, 'new') and options.new",
        "while total:\n    orders['new']",
        "match total:\n    case 1:\n        newname",
        "match config:\n    case {**rest}:\n        pass\nrest",
        "from contextlib import suppress\nwith suppress(KeyError):\n    orders['new']",
        "for n in range(3):\n    if n:\n        continue\n    orders['new']",
        "for n in []:\n    orders['quantty']",
        "def f():\n    return orders['new'] + newname",
        "values = (newname for _ in total)",
        "[newname for n in range(3) if n > 5]",
        "1 < total < newname",
        "from __future__ import annotations\nx: Newname = None",
        "assert total, newname",
        # Strings that are no labels, and labels that exist or may not exist.
        "'new' in orders.columns",
        "orders.loc['new']",
        "orders.loc['new', 'quantity']",
        "orders.loc['new', 'old']",
        "orders.loc['new_' + 'x', 'old']",
        "frames['ord' + 'ers']['new']",
        "orders.groupby('region')",
        "orders.drop(columns='new', errors='ignore')",
        "orders.rename(columns={'new': 'old'})",
        "orders.reset_index()['index']",
        "table = orders.reset_index()\ntable['index']",
        "orders.to_csv('new.csv')",
        "orders.apply(lambda row: row['new'], axis=1)",
        "orders['new', 'old']",
        "series['new']",
        "config.get('new')",
        "config['new'] += 1",
        "orders['unit_price'].new",
        "orders.query('newname > @load()')\norders['new']",
        # Objects that may compute attributes, or that the kernel did not describe.
        "np.float(np.int(1)), np.object, np.bool, np.str",
        "nothing.new",
        "options._new",
        "load(path=1).new",
        "open_load(new=1)",
        "load(_new=1)",
        "load(**config)",
        "load(cls=1)",  # the probe omits such parameters
        # Names that exist, or that something else may bind.
        "_newname",
        "n" * 130,
        "print(newname)\nnewname = 1",
        "import newname.other\nnewname.other",
        "from other import *\nnewname",
        "%run other.py\nnewname",
        "%time newname = 1\nnewname",
        "!echo {newname}",
        "ls -l",
        "cd folder",
        "whos",
        "new_magic",
        "newname?",
        "%%px\nnewname",
        "%%capture newname\nprint(1)\nnewname",
        "display(In, Out, exit)",
        "__name__",
        # Source whose length differs from that of the name in the tree.
        "orders.unit_pri\ufb01",
        "load(pat\uff48=1)",
        "",
    ],
)
def test_check_is_silent_about_code_that_may_be_right(source: str) -> None:
    assert checked(source) == []


@pytest.mark.parametrize(
    ("source", "other", "is_silent"),
    [
        ("newname", FixCell(source="newname = 1", execution_count=3), True),  # the kernel was restarted
        ("newname", FixCell(source="def f():\n    global newname\n    newname = 1", execution_count=3), True),
        ("print(newname)", FixCell(source="from other import *", execution_count=3), False),
        ("newname", FixCell(source="%store -r newname", execution_count=3), True),
        ("print(newname)", FixCell(source="%time newname = load()", execution_count=3), True),
        ("newname", FixCell(source="%%sql\nselect newname", execution_count=3), True),
        ("newname", FixCell(source=None, execution_count=3), True),
        ("print(newname)", FixCell(source="print(newname)", execution_count=3), False),
        ("print(newname)", FixCell(type="markdown", source="newname = 1"), False),
        ("orders['new']", FixCell(source="orders = load()", execution_count=3), False),
        ("orders['new']", FixCell(source="orders = load()"), True),
        ("orders['new']", FixCell(source="orders = load()", execution_count=3, changed=True), True),
        ("orders['new']", FixCell(source="orders = load()", execution_count=3, changed=None), True),
        ("orders['new']", FixCell(source="orders = load()", execution_count=20), True),  # of another kernel
        ("orders['new']", FixCell(source="people = load()"), True),
        ("orders['new']", FixCell(source="other = len(scores)"), False),
        ("orders['new']", FixCell(source="orders['new'] = 1"), True),
        ("orders['new']", FixCell(source="some = orders\nsome['new'] = 1"), True),
        ("orders['new']", FixCell(source="%%bash\nls"), False),
        ("orders['new']", FixCell(source="%%bash --out orders\nls"), True),
        ("orders['new']", FixCell(source="%run other.py"), True),
        ("orders['new']", FixCell(source="f("), True),
        ("orders['new']", FixCell(source=None), True),
        ("load(new=1)", FixCell(source="%load_ext autoreload", execution_count=3), False),
        ("owner.add(new=1)", FixCell(source="class Owner: ..."), False),
        ("owner.add(new=1)", FixCell(source="class Owner: ...", execution_count=3), False),
    ],
)  # fmt: skip
def test_check_considers_cells_that_may_change_an_object(
    source: str, other: FixCell, is_silent: bool
) -> None:
    assert (checked(source, other) == []) == is_silent


def test_check_ignores_cells_below_that_change_an_existing_object() -> None:
    cells = [FixCell(source="orders['new']"), FixCell(source="orders = load()")]
    assert len(find_all(parse_check(body("", *cells, active=0)))) == 1


def test_check_is_silent_about_names_bound_in_a_cell_below() -> None:
    assert find_all(parse_check(body("newname = 1", FixCell(source="newname"), active=0))) == []


def test_check_offers_no_name_that_the_cell_binds_later() -> None:
    (finding,) = checked("print(totals_of)\ntotals_off = 1")
    assert finding.fixes == []
    assert corrected("totals_off = 1\nprint(totals_of)") == "totals_off = 1\nprint(totals_off)"


def test_check_offers_a_missing_import() -> None:
    def no_documents(_: str, *, near: bool) -> list[tuple[str, int]]:
        return []

    imports = Sources(no_documents, lambda _: ModuleLocation.ANYWHERE)
    request = parse_check(body("folder = Path('data')\nprint(folder)"))
    prepared = prepare(request)
    assert prepared
    (finding,) = find(request, prepared, reported(prepared.described, prepared.traced), imports)
    (fix,) = finding.fixes
    assert (fix.title, fix.edits[0].text) == ("Import Path from pathlib?", "from pathlib import Path\n")


def test_check_is_silent_about_reloaded_modules_and_their_classes() -> None:
    assert len(checked("load(new=1)")) == len(checked("owner.new")) == 1
    assert checked("load(new=1)", reloads=True) == checked("owner.new", reloads=True) == []
    assert len(checked("orders['quantty']", reloads=True)) == 1


def test_check_finds_a_column_after_many_uses_of_a_wide_table() -> None:
    space = {"wide": pd.DataFrame(0, index=[0], columns=[f"column_{n}" for n in range(9_900)]), "In": [""]}
    source = "wide.sort_values('column_1')\n" * 12 + "wide.sort_values('colunm_77')"
    request = parse_check(body(source))
    prepared = prepare(request)
    assert prepared
    report = reported(prepared.described, prepared.traced, space)
    with counted_operations(Operations(MOST_OPERATIONS)):
        (finding,) = find(request, prepared, report)
    assert finding.fixes[0].edits[0].text == "column_77"


def test_check_distrusts_an_execution_count_of_two_cells() -> None:
    twice = [FixCell(source="orders = load()", execution_count=3), FixCell(source="1", execution_count=3)]
    assert checked("orders['new']", *twice) == []


@pytest.mark.parametrize("report", [{"all": False}, {"executions": None}, {"alone": False}])
def test_check_needs_a_complete_report(report: dict[str, Any]) -> None:
    assert checked("newname; orders['new']", **report) == []


def test_check_reports_at_most_ten_findings() -> None:
    assert len(checked("totel\n" * 20)) == MAX_FINDINGS


def test_check_keeps_its_findings_at_the_operation_limit() -> None:
    request = parse_check(body("print(totel)\nprint(total)"))
    prepared = prepare(request)
    assert prepared
    report = reported(prepared.described, prepared.traced)

    def count_findings(operations: Operations) -> int:
        with counted_operations(operations):
            return len(find(request, prepared, report))

    counted = Operations()
    assert count_findings(counted) == count_findings(Operations(counted.count - 1)) == 1


def test_check_of_another_language_or_unfinished_code_asks_for_nothing() -> None:
    for source in ("%%bash\nls", "f("):
        assert prepare(parse_check(body(source))) is None
    text = json.dumps({"cells": [{"type": "markdown", "source": "a.b"}], "active": 0}).encode()
    assert prepare(parse_check(text)) is None


def test_prepare_names_the_objects_whose_parts_are_used() -> None:
    prepared = prepare(parse_check(body("a.b.c(1)\nf(x, y=2)\nd['e']['f']\ng(1)\nh")))
    assert prepared
    assert prepared.described == ["a.b", "a", "f", "d['e']", "d"]
    assert {"a.b.c", "x", "d['e']['f']", "g", "h"} <= {*prepared.traced}
    prepared = prepare(parse_check(body("\n".join(f"a{number}.b" for number in range(MAX_TRACED // 2)))))
    assert prepared
    assert (len(prepared.described), len(prepared.traced)) == (MAX_EXPRESSIONS, MAX_TRACED)


def test_prepare_refuses_a_cell_with_too_many_expressions() -> None:
    source = "\n".join(f"a{number}.b" for number in range(MAX_TRACED // 2)) + "\nx"
    assert prepare(parse_check(body(source))) is None


def test_prepare_names_what_is_imported() -> None:
    prepared = prepare(parse_check(body("import a.b as c, d.e\nfrom f import g as h\nc.x(d.e.y, h.z)")))
    assert prepared
    assert {"import a.b", "import a.b.x", "import d", "import d.e", "import d.e.y", "import f.g.z"} <= {
        *prepared.traced
    }


PIECES = (
    "orders", "config", "model", "np", "totel", "x", "['new']", ".new", "(", ")", "[", "]", " = ", "\n", "\n    ", ", ",
    "lambda x: ", "def f():", "for x in ", ":", "if ", "try:", "except:", "with ", " as ", "import ", "from ", "*", "**",
    "class A:", "f'{", "}'", "é", "\u202e", ":=", "'new'", "{", "}", "await ", "%time ", "!ls ", "%%time\n", "global x",
    "match x:", "case ", "_", "del ", "x.y = ", " for x in ", "yield ", "@", "\\\n", "?", "1", ";", "not ", " in ",
)  # fmt: skip


@settings(max_examples=300)
@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=12).map("".join)), st.text())
def test_check_raises_no_error_for_any_source(source: str, other: str) -> None:
    checked(source, FixCell(source=other, execution_count=1), FixCell(source=other))
