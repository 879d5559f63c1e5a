from __future__ import annotations

from types import SimpleNamespace

from jupyter_turbopilot.server.extension import any_kernel_busy


def test_a_kernel_that_ends_while_it_is_looked_at_is_not_busy() -> None:
    class Kernels:
        def list_kernel_ids(self) -> list[str]:
            return ["gone", "idle", "busy"]

        def get_kernel(self, name: str) -> object:
            if name == "gone":
                raise KeyError(name)
            return SimpleNamespace(execution_state=name)

    assert any_kernel_busy(Kernels())
    kernels = Kernels()
    kernels.list_kernel_ids = lambda: ["gone", "idle"]  # type: ignore[method-assign]
    assert not any_kernel_busy(kernels)
