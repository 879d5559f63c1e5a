from __future__ import annotations

import pytest

from jupyter_turbopilot.analysis.report import ObjectDescription
from jupyter_turbopilot.fixes.api_changes import find
from tests.fixes.failing import FRAME, applied, failure


def module(name: str, version: str | None = None, *attributes: str) -> ObjectDescription:
    return ObjectDescription(type="module", module=name, name=name, version=version, attributes=[*attributes])


NUMPY = module("numpy", "2.2.0")
OBJECTS = {
    "np": NUMPY,
    "pd": module("pandas", "2.2.0"),
    "df": FRAME,
    "other": FRAME,
    "plt": module("matplotlib.pyplot", None, "get_cmap"),
    "plt.cm": module("matplotlib.cm"),
    "scipy.integrate": module("scipy.integrate", "1.14.0"),
    "scipy.misc": module("scipy.misc", "1.14.0"),
    "counts": ObjectDescription(type="dict", module="builtins", attributes=["items"]),
}


@pytest.mark.parametrize(
    ("source", "fixed"),
    [
        ("np.float(1)", "float(1)"),
        ("np.asfarray(x)", "np.asarray(x, dtype=float)"),
        ("pd.datetime.now()", "from datetime import datetime\ndatetime.now()"),
        ("x = pd.datetime", "from datetime import datetime\nx = datetime"),
        ("df.iteritems()", "df.items()"),
        ("counts.iteritems()", "counts.items()"),
        ("df.append(other, sort=True)", "pd.concat([df, other], sort=True)"),
        ("df.append([df, other])", "pd.concat([df, df, other])"),
        ("plt.cm.get_cmap('x', 3)", "plt.get_cmap('x', 3)"),
        ("scipy.misc.factorial(3)", "scipy.special.factorial(3)"),
        ("scipy.integrate.simps(y, x=x)", "scipy.integrate.simpson(y, x=x)"),
    ],
)
def test_renamed_attribute_is_replaced(source: str, fixed: str) -> None:
    word = source.replace("plt.cm", "cm").replace("scipy.", "").partition("(")[0].split(".")[1]
    failed = failure(source, f"AttributeError: X has no attribute '{word}'", objects=OBJECTS)
    (fix,) = find(failed)
    assert (applied(failed, fix), fix.source) == (fixed, "api")


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("df.ix[1]", "ix"),
        ("df.append({'a': 1}, ignore_index=True)", "append"),
        ("df.append(row)", "append"),
        ("scipy.integrate.simps(y, x)", "simps"),
        ("f(scipy.integrate.simps)", "simps"),
        ("np.asfarray(x, dtype=int)", "asfarray"),
        ("other_module.float", "float"),
        ("np.float", "mean"),  # another error in the line
    ],
)
def test_other_attribute_is_not_replaced(source: str, word: str) -> None:
    failed = failure(source, f"AttributeError: X has no attribute '{word}'", objects=OBJECTS)
    assert [*find(failed)] == []


@pytest.mark.parametrize(
    ("numpy", "is_offered"),
    [
        (module("numpy", "1.26.4"), False),
        (module("numpy", "2.0.0rc1"), True),
        (module("numpy", None, "trapezoid"), True),
        (module("numpy", None, "trapz"), False),
    ],
)
def test_replacement_depends_on_the_version(numpy: ObjectDescription, is_offered: bool) -> None:
    error = "AttributeError: module 'numpy' has no attribute 'trapz'"
    assert bool([*find(failure("np.trapz(y)", error, objects={"np": numpy}))]) == is_offered


@pytest.mark.parametrize(
    ("source", "message", "fixed", "title"),
    [
        (
            "from sklearn.cross_validation import KFold, cross_val_score",
            "No module named 'sklearn.cross_validation'",
            "from sklearn.model_selection import KFold, cross_val_score",
            "Replace cross_validation with model_selection?",
        ),
        (
            "import sklearn.grid_search as search",
            "No module named 'sklearn.grid_search'",
            "import sklearn.model_selection as search",
            "Replace grid_search with model_selection?",
        ),
        (
            "from sklearn.externals import joblib",
            "cannot import name 'joblib' from 'sklearn.externals' (x)",
            "import joblib",
            "Replace from sklearn.externals import joblib with import joblib?",
        ),
        (
            "from scipy.integrate import quad, simps\nsimps(y)",
            "cannot import name 'simps' from 'scipy.integrate' (x)",
            "from scipy.integrate import quad, simpson as simps\nsimps(y)",
            "Replace simps with simpson as simps?",
        ),
        (
            "from scipy.misc import face as image",
            "cannot import name 'face' from 'scipy.misc' (x)",
            "from scipy.datasets import face as image",
            "Replace misc with datasets?",
        ),
    ],
)
def test_renamed_import_is_replaced(source: str, message: str, fixed: str, title: str) -> None:
    line = source.partition("\n")[0]
    failed = failure(source, f"ImportError: {message}", line, objects={})
    (fix,) = find(failed)
    assert (applied(failed, fix), fix.title) == (fixed, title)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("from sklearn.cross_validation import KFold", "No module named 'sklearn'"),
        ("import sklearn.cross_validation", "No module named 'sklearn.cross_validation'"),
        (
            "from scipy.integrate import simps\nsimps(y, x)",
            "cannot import name 'simps' from 'scipy.integrate'",
        ),
        ("from scipy.misc import face, imread", "cannot import name 'face' from 'scipy.misc'"),
        ("from .sklearn import cross_validation", "cannot import name 'cross_validation' from 'x.sklearn'"),
    ],
)
def test_other_import_is_not_replaced(source: str, message: str) -> None:
    line = source.partition("\n")[0]
    assert [*find(failure(source, f"ImportError: {message}", line, objects={}))] == []
