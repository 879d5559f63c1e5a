"""Random cells of harmless statements and of those that may change anything, half of them with a fault."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from .checked_cells import Case, Shells, is_found, problem

LEAST_FOUND = 0.5
SETUP = """
import concurrent.futures, contextlib, functools, itertools, json, math, os, random, re, threading, timeit
import numpy as np
import pandas as pd
from types import SimpleNamespace
orders = pd.DataFrame({"price": [3.0, 4.0, 5.0], "quantity": [1, 2, 3], "city": ["Ulm", "Bonn", "Ulm"]})
same_orders, tables = orders, {"orders": orders}
history = {"loss": [0.5, 0.4], "epoch": 0}
same_history, parts = history, [history]
values, matrix = np.arange(6.0), np.eye(2)
labels, text, total = ["alpha", "beta", "gamma"], "Some text", 3
def net(amount, rate=0.2):
    return amount / (1 + rate)
def change(value=1, *others, **named):
    history["epochs"] = 3
    orders["margin"] = 1.0
    globals()["late_rows"] = [1, 2]
    account.limit = 5
    return value
class Account:
    def __init__(self, owner):
        self.owner, self.balance = owner, 1
    def deposit(self, amount):
        self.balance += amount
    @property
    def size(self): return change()
    def __getitem__(self, at): return change(at)
    def __rshift__(self, other): return change(self)
    def __radd__(self, other): return change(other)
    def __len__(self): return change()
    def __iter__(self): return iter([change()])
    def __str__(self): return change("text")
    def __lt__(self, other): return bool(change())
    def __contains__(self, other): return bool(change())
    def __enter__(self): return change(self)
    def __exit__(self, *error): pass
account = Account("Ada")
class Plugin:
    def __init__(self, name): change(name)
def steps():
    yield change()
@contextlib.contextmanager
def timer(name):
    yield change(name)
job = functools.partial(change, 1)
made = (change(n) for n in range(2))
"""
# Each statement runs no code of the notebook. `{n}`: a number that no other statement has.
QUIET = r"""
print("rows", len(orders))
print(orders.head())
orders.describe()
orders[orders["price"] > 3]
orders["net_{n}"] = orders["price"] / 1.2
v{n} = orders["net_{n}"] = orders["quantity"] * 2
v{n} = orders.groupby("city")["price"].sum().sort_values()
v{n} = orders.sort_values("price", ascending=False).head(2)
v{n} = orders.merge(orders, on="city", how="left").shape
v{n} = pd.concat([orders, orders], ignore_index=True)
v{n} = pd.DataFrame({{"a": [1, 2], "b": labels[:2]}})["a"].max()
v{n} = np.linspace(0, 1, {n} + 1).sum()
v{n} = np.where(values > 2, values, 0)
v{n} = matrix @ matrix + values[:2]
v{n} = values.reshape(2, 3).mean(axis=0)
v{n} = math.sqrt(total + {n})
v{n} = [each.upper() for each in labels if len(each) > 4]
v{n} = {{each: len(each) for each in labels}}
v{n} = sorted(labels, reverse=True)[0]
v{n} = text.split()[-1].lower().replace("t", "T")
v{n} = f"{{text}} {{total:>5}} {{len(labels)}}"
v{n} = json.dumps({{"a": total, "b": labels}})
v{n} = re.sub("a", "b", text)
v{n} = max(total, {n}) if total else 0
v{n} = "%s of %d" % (text, total)
v{n} = history["loss"][-1] + total
v{n} = history.get("missing", 0)
v{n} = list(zip(labels, range(3)))
v{n} = sum(range({n}))
v{n} = list(itertools.chain(labels, ["delta"]))
labels.append("delta{n}")
history["key_{n}"] = {n}; print(history["key_{n}"])
total += 1
assert total > 0, "no total"
import math, string
from collections import Counter; v{n} = Counter(text)
for each in labels[:2]: print(each)
for v{n} in range(2): print(v{n} + total)
while total < 3: total += 1
if total > 100: print("many")
def local_{n}(number): return number * total
v{n} = lambda number: number + total
""".strip().splitlines()
# Each statement calls `change`.
OPAQUE = r"""
change()
v{n} = change({n})
job()
net(change(2))
exec("change()")
eval("change()")
get_ipython().run_cell("change()", silent=True)
%time change()
Plugin("csv")
account.size
account[0]
account >> 1
v{n} = 1 + account
v{n} = account < 1
v{n} = 3 in account
print(account)
print(len(account))
f"{{account}}"
v{n} = [each for each in account]
(v{n},) = account
list(made)
list(steps())
for v{n} in steps(): pass
with account: pass
with timer("fit"): pass
max(labels, key=change)
sorted(labels, key=lambda label: change(label))
list(map(change, labels))
v{n} = [change(label) for label in labels]
re.sub("e", lambda found: str(change()), text)
functools.reduce(lambda one, other: change(one), labels)
timeit.timeit(change, number=1)
np.apply_along_axis(change, 0, values)
orders["price"].apply(change)
orders["price"].map(lambda price: change(price))
orders.pipe(change)
orders.assign(extra=lambda table: change(1))
thread_{n} = threading.Thread(target=change); thread_{n}.start(); thread_{n}.join()
concurrent.futures.ThreadPoolExecutor(1).submit(change).result()
random.choice([change])()
{{"a": change}}["a"]()
SimpleNamespace(run=change).run()
def helper_{n}(): change()\nhelper_{n}()
@change\ndef helper_{n}(): pass
class Made{n}: field = change()
def default_{n}(value=change()): pass
""".strip().splitlines()
# Other names of an object that change it, with a use of what they add.
ALIASES = r"""
same_orders["added_{n}"] = 1; print(orders["added_{n}"])
tables["orders"]["added_{n}"] = 1; print(orders["added_{n}"])
for v{n} in tables.values(): v{n}["added_{n}"] = 1\nprint(orders["added_{n}"])
same_history["added_{n}"] = 1; print(history["added_{n}"])
same_history |= {{"added_{n}": 1}}; print(history["added_{n}"])
parts[0].update(added_{n}=1); print(history["added_{n}"])
history.setdefault("added_{n}", []).append(1); print(history["added_{n}"])
globals()["added_{n}"] = 1; print(added_{n})
account.added_{n} = 1; print(account.added_{n})
orders.insert(0, "added_{n}", 1, allow_duplicates=True); print(orders["added_{n}"])
""".strip().splitlines()
USES = r"""
print(history["epochs"])
print(orders["margin"].sum())
print(late_rows)
print(account.limit)
v{n} = orders.sort_values("margin")[["price", "margin"]]
v{n} = history["epochs"] + late_rows[0]
""".strip().splitlines()
# Each statement raises an error about the name after `#`.
FAULTS = r"""
print(totall) # totall
v{n} = labes[0] # labes
net(toatl) # toatl
for each in labelz: print(each) # labelz
v{n} = np.sqrt(valuess) # valuess
v{n} = orders["prise"] # prise
v{n} = orders[orders["quantitty"] > 1] # quantitty
v{n} = orders.groupby("citty")["price"].sum() # citty
v{n} = orders.sort_values("pricee") # pricee
v{n} = orders[["city", "quantty"]] # quantty
v{n} = orders["price"] * orders["quantities"] # quantities
v{n} = history["los"] # los
v{n} = history["epoc"] + 1 # epoc
v{n} = np.linspce(0, 1) # linspce
v{n} = math.squareroot(3) # squareroot
v{n} = orders.groupbyy("city") # groupbyy
v{n} = values.reshpe(2, 3) # reshpe
v{n} = text.uper() # uper
print(account.balanse) # balanse
account.deposite(3) # deposite
net(3, rat=0.1) # rat
v{n} = orders.sort_values("price", ascendng=False) # ascendng
v{n} = Account(ownr="Bo") # ownr
""".strip().splitlines()
# The statements around a statement; most stand alone.
INSIDE = (
    *("{}",) * 6,
    "for number in range(2):\n    {}",
    "if total:\n    {}",
    "try:\n    {}\nfinally:\n    print(1)",
    "with open(os.devnull) as file:\n    {}",
)


@st.composite
def cells(draw: st.DrawFn, *, faulty: bool) -> Case:
    """Return a cell after the setup; all of its code runs without an error but the planted fault."""
    number = itertools.count()

    def statement(*tables: list[str]) -> str:
        return draw(st.sampled_from([each for table in tables for each in table])).replace("\\n", "\n")

    def nested(source: str) -> str:
        outer = draw(st.sampled_from(INSIDE))
        return outer.format(source if outer == "{}" else source.replace("\n", "\n    "))

    def some(least: int, most: int, *, changing: bool) -> list[str]:
        kinds = ["quiet", "opaque", "alias"] if changing else ["quiet"]
        made = []
        for kind in draw(st.lists(st.sampled_from(kinds), min_size=least, max_size=most)):
            source = statement({"quiet": QUIET, "opaque": OPAQUE, "alias": ALIASES}[kind])
            made.append(nested(source.format(n=next(number))))
            if kind == "opaque":
                made.append(statement(USES).format(n=next(number)))
        return made

    if not faulty:
        source = "\n".join(some(1, 6, changing=True))
        return Case("", "", [("setup", SETUP), ("cell", source)])
    # A fault after an opaque statement cannot be found, one after harmless ones should be.
    before = some(0, 3, changing=draw(st.integers(0, 3)) == 0)
    planted, _, word = statement(FAULTS).format(n=next(number)).partition(" # ")
    source = "\n".join([*before, planted, *some(0, 2, changing=True)])
    return Case("", "", [("setup", SETUP), ("cell", source)], fault=word)


@pytest.fixture(scope="module")
def shells() -> Iterator[Shells]:
    with Shells(isolated=False) as shells:
        yield shells


def test_check_marks_no_random_cell_that_runs(shells: Shells) -> None:
    @given(cells(faulty=False))
    def check(case: Case) -> None:
        result = shells.run(case)
        assert not problem(case, result), result.output
        assert result.findings == [], case.cells[-1][1]

    check()


def test_check_finds_half_of_the_faults_in_random_cells(shells: Shells) -> None:
    found = []

    @given(cells(faulty=True))
    @settings(phases=[Phase.generate])
    def check(case: Case) -> None:
        result = shells.run(case)
        assert not problem(case, result), result.output
        found.append(is_found(case, result))
        assert all(f"`{case.fault}`" in message for _, _, message in result.findings)

    check()
    assert sum(found) >= LEAST_FOUND * len(found)
