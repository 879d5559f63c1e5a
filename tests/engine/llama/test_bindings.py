from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("given", "during"), [({}, "30000"), ({"GOMP_SPINCOUNT": "9"}, "9")])
def test_threads_that_wait_give_the_core_back_soon_and_kernels_do_not_inherit_it(
    given: dict[str, str], during: str
) -> None:
    # In a process of its own: the variable is read when the library is loaded, which happens once.
    program = (
        "import os, sys\n"
        "from jupyter_turbopilot.engine.llama.bindings import bindings\n"
        "class Look:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'llama_cpp': print(os.environ.get('GOMP_SPINCOUNT'))\n"
        "sys.meta_path.insert(0, Look())\n"
        "bindings()\n"
        "print(os.environ.get('GOMP_SPINCOUNT'))\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    said = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, **given},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert said.stdout.split() == [during, str(given.get("GOMP_SPINCOUNT"))]
