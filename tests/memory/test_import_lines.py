from __future__ import annotations

import pytest

from jupyter_turbopilot.memory.import_lines import Import, imports_of


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import numpy as np", [("numpy", "np", "import numpy as np")]),
        ("import os, sys as s", [("os", "os", "import os"), ("sys", "s", "import sys as s")]),
        ("import os.path", [("os", "os", "import os.path")]),
        ("import matplotlib.pyplot as plt", [("matplotlib", "plt", "import matplotlib.pyplot as plt")]),
        (
            "from a.b import (\n    c,\n    d as e,\n)",
            [("a", "c", "from a.b import c"), ("a", "e", "from a.b import d as e")],
        ),
        ("try:\n    import tomllib\nexcept ImportError: pass", [("tomllib", "tomllib", "import tomllib")]),
        ("from math import *", [("math", "", "")]),
        ("from . import near\nfrom .far import away", []),
        ("import\nfrom x import\nimportant = 1", []),
        ("import numpy as np; x = 1  # why", [("numpy", "np", "import numpy as np")]),
    ],
)
def test_each_import_is_a_line_that_binds_one_name(source: str, expected: list[tuple[str, str, str]]) -> None:
    assert [*imports_of(source)] == [Import(*each) for each in expected]


def test_an_import_that_is_not_finished_does_not_hide_the_others() -> None:
    source = "from a import (\nimport json\nx = 1\nfrom pathlib import Path"
    assert ("pathlib", "Path", "from pathlib import Path") in [*imports_of(source)]
