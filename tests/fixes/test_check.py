from __future__ import annotations

import builtins
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from jupyter_turbopilot.fixes.check import MAX_EXPRESSIONS, MAX_FINDINGS, find, prepare
from jupyter_turbopilot.fixes.report import KernelReport, ObjectDescription
from jupyter_turbopilot.protocol.contract import Finding
from jupyter_turbopilot.protocol.fix import apply
from jupyter_turbopilot.protocol.request import FixCell, parse_check
from jupyter_turbopilot.util.bounds import Operations, counted_operations

_METHODS = """
    apply columns drop get groupby head insert loc merge pipe plot rename reset_index sort_values to_csv
"""


def described(kind: str, module: str, *attributes: str, **more: Any) -> ObjectDescription:
    """Describe an object, of which the kernel knows all attributes by default."""
    return ObjectDescription(
        **{"type": kind, "module": module, "attributes": [*attributes], "closed": True} | more
    )


def function(*parameters: str, **more: Any) -> ObjectDescription:
    fields = {"type": "function", "module": "builtins", "parameters": [*parameters], "closed": True}
    return ObjectDescription(**fields | more)


ORDERS = described(
    "DataFrame",
    "pandas.core.frame",
    *_METHODS.split(),
    labels=["unit_price", "quantity", "Order ID"],
    rows=50,
    levels=["region"],
)
OBJECTS = {
    "orders": ORDERS,
    "frame": ORDERS,
    "people": described("DataFrame", "polars.dataframe.frame", "head", labels=["name", "height"]),
    "orders.head": function("n"),
    "load": function("path", "separator"),
    "open_load": function("path", open=True),
    "wrapped": function("path", closed=False),
    "model": described("LinearRegression", "sklearn", "fit", "predict", "positive"),
    "dynamic": described("Bunch", "sklearn", "copy", closed=False),
    "series": described("Series", "pandas.core.series", "mean", "value_counts", closed=False),
    "nothing": described("NoneType", "builtins"),
    "config": described("dict", "builtins", "get", "items", "update", keys=["database", "port"]),
    "config['database']": described("dict", "builtins", "get", keys=["path"]),
    "np": described("module", "builtins", "arange", "mean", "random", name="numpy", closed=False),
    "np.random": described("module", "builtins", "seed", "normal", name="numpy.random"),
    "train": ORDERS,  # another name of the same table
    "frames": described("dict", "builtins", "items", keys=["orders"]),
    "frames['orders']": ORDERS,
    "owner": described("Owner", "__main__", "add", "model", "table", "value"),
    "owner.table": ORDERS,
    "owner.add": function("item", "price"),
    "dynamic.copy": function("deep"),
    "layer": described("Layer", "__main__", "weight"),
    "Owner": described("type", "builtins", "add"),
    "tqdm": described("type", "builtins", "pandas", "write"),
    "utils": described("module", "builtins", "load", name="utils"),
    "utils.load": function("path"),
    "package": described("module", "builtins", "part", name="package"),
    "lazy": described("module", "builtins", "arange", name="lazy", closed=False),
    "plt": described("module", "builtins", "figure", "plot", name="matplotlib.pyplot"),
}
NAMES = sorted(
    {"add", "add_columns", "total", "scores", *dir(builtins), *(re.split(r"\W", each)[0] for each in OBJECTS)}
)


def body(source: str, *others: FixCell, active: int = -1, line: int | None = None) -> bytes:
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
    return json.dumps(
        {"cells": encoded, "active": len(others) if active < 0 else active, "line": line}
    ).encode()


def checked(source: str, *others: FixCell, line: int | None = None, **report: Any) -> list[Finding]:
    """Return the findings in the last cell; check their positions and edits."""
    request = parse_check(body(source, *others, line=line))
    prepared = prepare(request)
    if prepared is None:
        return []
    known = {"objects": OBJECTS, "names": NAMES, "all": True, "executions": 9} | report
    findings = find(request, prepared[0], KernelReport(**known))
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
        ("load(path=1, seperator=',')", "`load` has no parameter `seperator`.", "load(path=1, separator=',')"),
        ("for n in range(3):\n    print(totel)", "`totel` is not defined.", "for n in range(3):\n    print(total)"),
        ("owner.add(preice=3)", "`owner.add` has no parameter `preice`.", "owner.add(price=3)"),
        ("é = 1; orders['quantty']", "`orders` has no column `quantty`.", "é = 1; orders['quantity']"),
    ],
)  # fmt: skip
def test_check_finds_a_missing_name_and_the_nearest(source: str, message: str, right: str) -> None:
    assert [each.message for each in checked(source)] == [message]
    assert corrected(source) == right


@pytest.mark.parametrize(("rows", "number"), [(2, 0), (None, 0), (3, 1)])
def test_check_is_silent_about_a_list_that_may_group_rows(rows: int | None, number: int) -> None:
    objects = {"orders": structs.replace(ORDERS, rows=rows)}
    assert len(checked("orders.groupby(['quantity', 'new'])", objects=objects)) == number
    assert len(checked("orders.groupby(by=['quantity', 'new'])", objects=objects)) == number
    assert len(checked("orders.sort_values(['quantity', 'new'])", objects=objects)) == 1
    assert len(checked("orders[['quantity', 'new']]", objects=objects)) == 1


def test_check_escapes_control_characters_in_messages() -> None:
    (finding,) = checked(r"orders['<b>\n\u202e\ud800']")
    assert finding.message == r"`orders` has no column `<b>\n\u202e\ud800`."


@pytest.mark.parametrize(
    ("source", "number"),
    [
        ("[n for n in entirely]", 1),
        ("for n in range(3):\n    entirely", 0),
        ("[m for n in scores for m in entirely]", 0),
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
        "orders = load()\norders['new']",
        "orders += 1\norders['new']",
        "with load() as orders:\n    pass\norders['new']",
        "import orders\norders.new",
        "def orders(): pass\norders.new",
        "del orders['quantity']\norders['new']",
        "orders.columns = ['new']\norders['new']",
        "orders.insert(0, 'new', 1)\norders['new']",
        "orders.rename(columns=str.title, inplace=True)\norders['Quantity']",
        "add_columns(orders)\norders['new']",
        "add_columns(table=orders)\norders['new']",
        "for name, each in {'a': frame}.items():\n    each['new'] = 1\norders['new']",
        "other = orders\nother['new'] = 1\norders['new']",
        "(other := orders)['new'] = 1\norders['new']",
        "(lambda: orders.insert(0, 'new', 1))()\norders['new']",
        "model.fit()\nmodel.coef_",
        "load(model)\nmodel.coef_",
        "config.update(new=1)\nconfig['new']",
        "setattr(model, 'coef_', 1)\nmodel.coef_",
        # The object has another name, or another object changes it.
        "train['new'] = 1\norders['new']",
        "for n in range(3):\n    train[f'new{n}'] = n\norders['new1']",
        "owner.table['new'] = 1\norders['new']",
        "for key in frames:\n    frames[key]['new'] = 1\norders['new']",
        "for key, each in frames.items():\n    each.insert(0, 'new', 1)\norders['new']",
        "[each.fit() for each in frames]\nmodel.coef_",
        "owner.value\nowner.add(new=1)",
        "sorted(scores, key=owner.add)\nowner.new",
        "dynamic.copy(new=1)",
        "owner.add()\nmodel.coef_",
        "y = layer(total)\nlayer.out",
        "total()\norders['new']",
        "next(total)\nmodel.coef_",
        "list(map(total, [orders]))\ntrain['new']",
        "orders.pipe(lambda each: each.insert(0, 'new', 1))\norders['new']",
        "orders.apply(total)\ntrain['new']",
        # Attributes added to classes and modules, or by any use of an object of the user's own class.
        "@orders.plot('geo')\nclass Geo:\n    pass\norders.geo",
        "total.new = 1\nowner.new",
        "@total(Owner)\ndef new(self):\n    return 3\nowner.new()",
        "tqdm.pandas()\norders.progress_apply(total)",
        "utils.load()\nutils.DATA",
        "import importlib\nimportlib.reload(utils)\nutils.new()",
        "import other\npackage.other.load()",
        "both = iter(layer)\nlayer.out",
        "print(layer)\nlayer.seen",
        "layer.weight\nlayer.cache",
        "from other import *\norders['new']",
        "%store -r\norders['new']",
        "globals()['newname'] = 1\nnewname",
        # The code may not be executed, or its error may pass.
        "try:\n    orders['new']\nexcept KeyError:\n    pass",
        "if 'new' in orders:\n    orders['new']",
        "orders['new'] if 'new' in orders else 0",
        "hasattr(model, 'coef_') and model.coef_",
        "while total:\n    orders['new']",
        "match total:\n    case 1:\n        newname",
        "from contextlib import suppress\nwith suppress(KeyError):\n    orders['new']",
        "for n in range(3):\n    if n:\n        continue\n    orders['new']",
        "def f():\n    return orders['new'] + newname",
        "class A:\n    x = newname",
        "values = (newname for _ in total)",
        "[newname for n in range(3) if n > 5]",
        "for n in []:\n    print(newname)",
        "1 < total < newname",
        "from __future__ import annotations\nx: Newname = None",
        "assert total, newname",
        # Strings that are no labels, and labels that exist or may not exist.
        "'new' in orders.columns",
        "orders['new'] = 1",
        "orders.loc['new']",
        "orders.loc['new', 'quantity']",
        "orders.loc['new', 'old']",
        "orders.groupby('region')",
        "orders.drop(columns='new', errors='ignore')",
        "orders.rename(columns={'new': 'old'})",
        "orders.reset_index()['index']",
        "orders.to_csv('new.csv')",
        "orders.apply(lambda row: row['new'], axis=1)",
        "orders['new', 'old']",
        "series['new']",
        "config.get('new')",
        "config['new'] += 1",
        "orders['unit_price'].new",
        # Objects that may compute attributes, or that the kernel did not describe.
        "dynamic.new",
        "lazy.arrange",
        "np.linalg",
        "np.float(np.int(1)), np.object, np.bool, np.str",
        "nothing.new",
        "model._new",
        "load(path=1).new",
        "open_load(new=1)",
        "wrapped(new=1)",
        "load(_new=1)",
        "load(**config)",
        "load(cls=1)",  # the probe omits such parameters
        "utils.load(new=1)",  # the module may have been loaded again
        # Names that exist, or that something else may bind.
        "_newname",
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
        "import pandas_accessor\norders.accessor",
        "import matplotlib.new\nplt.new",
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
        ("newname", FixCell(source="%%sql\nselect newname", execution_count=3), True),
        ("newname", FixCell(source=None, execution_count=3), True),
        ("print(newname)", FixCell(source="print(newname)", execution_count=3), False),
        ("print(newname)", FixCell(type="markdown", source="newname = 1"), False),
        ("orders['new']", FixCell(source="orders = load()", execution_count=3), False),
        ("orders['new']", FixCell(source="orders = load()"), True),
        ("orders['new']", FixCell(source="orders = load()", execution_count=3, changed=True), True),
        ("orders['new']", FixCell(source="orders = load()", execution_count=3, changed=None), True),
        ("orders['new']", FixCell(source="orders = load()", execution_count=20), True),  # of another kernel
        ("orders['new']", FixCell(source="people = load()"), False),
        ("orders['new']", FixCell(source="%run other.py"), True),
        ("orders['new']", FixCell(source=None), True),
        ("add()\norders['new']", FixCell(source="def add():\n    orders['new'] = 1", execution_count=3), True),
        ("orders.pipe(add)\norders['new']", FixCell(source="def add(x):\n    ...", execution_count=3), True),
        ("orders['new']", FixCell(source="orders = train\ntrain['new'] = 1", execution_count=3, changed=True), True),
        ("train['new']", FixCell(source="orders['new'] = 1"), True),
        ("plt.new", FixCell(source="%load_ext autoreload\n%autoreload 2", execution_count=3), True),
        ("load(new=1)", FixCell(source="%autoreload 2", execution_count=3), True),
        ("owner.add(new=1)", FixCell(source="class Owner: ..."), True),
        ("owner.add(new=1)", FixCell(source="class Owner: ...", execution_count=3), False),
    ],
)  # fmt: skip
def test_check_considers_cells_that_may_change_an_object(
    source: str, other: FixCell, is_silent: bool
) -> None:
    assert (checked(source, other) == []) == is_silent


def test_check_ignores_cells_below_that_change_an_existing_object() -> None:
    cells = [FixCell(source="orders['new']"), FixCell(source="orders = load()")]
    request = parse_check(body("", *cells, active=0))
    prepared = prepare(request)
    assert prepared
    report = KernelReport(objects=OBJECTS, names=NAMES, all=True, executions=9)
    assert len(find(request, prepared[0], report)) == 1


def test_check_is_silent_about_names_bound_in_a_cell_below() -> None:
    request = parse_check(body("newname = 1", FixCell(source="newname"), active=0))
    prepared = prepare(request)
    assert prepared
    report = KernelReport(objects=OBJECTS, names=NAMES, all=True, executions=9)
    assert find(request, prepared[0], report) == []


def test_check_distrusts_an_execution_count_of_two_cells() -> None:
    twice = [FixCell(source="orders = load()", execution_count=3), FixCell(source="1", execution_count=3)]
    assert checked("orders['new']", *twice) == []


@pytest.mark.parametrize("report", [{"all": False}, {"executions": None}])
def test_check_needs_a_complete_report(report: dict[str, Any]) -> None:
    assert checked("newname; orders['new']", **report) == []


def test_check_omits_findings_at_the_line_of_the_cursor() -> None:
    source = "orders['new']\ntotel\norders['''new\nname''']"
    assert [each.start for each in checked(source)] == [7, 14, 27]
    assert [each.start for each in checked(source, line=1)] == [7, 27]
    assert [each.start for each in checked(source, line=3)] == [7, 14]


def test_check_reports_at_most_ten_findings() -> None:
    assert len(checked("totel\n" * 20)) == MAX_FINDINGS


def test_check_keeps_its_findings_at_the_operation_limit() -> None:
    request = parse_check(body("print(totel)\nprint(total)"))
    report = KernelReport(objects=OBJECTS, names=NAMES, all=True, executions=9)

    def count_findings(operations: Operations) -> int:
        prepared = prepare(request)
        assert prepared
        with counted_operations(operations):
            return len(find(request, prepared[0], report))

    counted = Operations()
    assert count_findings(counted) == count_findings(Operations(counted.count - 1)) == 1


def test_check_of_another_language_or_unfinished_code_asks_for_nothing() -> None:
    for source in ("%%bash\nls", "f(", "exec('1')"):
        assert prepare(parse_check(body(source))) is None
    text = json.dumps({"cells": [{"type": "markdown", "source": "a.b"}], "active": 0}).encode()
    assert prepare(parse_check(text)) is None


def test_prepare_names_the_objects_whose_parts_are_used() -> None:
    prepared = prepare(parse_check(body("a.b.c(1)\nf(x, y=2)\nd['e']['f']\ng(1)\nh")))
    assert prepared
    assert prepared[1] == ["a.b", "a", "f", "d['e']", "d"]
    prepared = prepare(parse_check(body("\n".join(f"a{number}.b" for number in range(300)))))
    assert prepared
    assert len(prepared[1]) == MAX_EXPRESSIONS


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
