from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from jupyter_turbopilot.models.findings import Finding
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.terminal.commands import doctor
from jupyter_turbopilot.terminal.commands.checks import Check, Leftovers
from jupyter_turbopilot.util import registry
from jupyter_turbopilot.util.registry import Entry

from .running import run

FILE = Path("reports") / "weekly.html"


class ReportsCheck(Check):
    def examine(self) -> Iterable[Finding]:
        return [Finding("reports", f"with {self.settings.engine}")]

    def leftovers(self) -> Leftovers:
        return Leftovers([FILE], {"Not deleted, because you wrote it": [FILE.with_name("mine.html")]})


class FailingCheck(Check):
    def examine(self) -> Iterable[Finding]:
        raise LookupError("no report")

    def leftovers(self) -> Leftovers:
        raise LookupError("no report")


@pytest.fixture(autouse=True)
def _others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    others = (
        Entry("failing", f"{__name__}:FailingCheck"),
        Entry("reports", f"{__name__}:ReportsCheck"),
        Entry("broken", "missing_package:Check"),
    )
    monkeypatch.setattr(
        registry, "found", lambda group: (*registry.own(group), *(others if group == "checks" else ()))
    )
    monkeypatch.setattr(registry, "failures", {})


def test_doctor_lists_findings_of_plugins_and_those_that_cannot_be_imported() -> None:
    found = {(one.name, one.text): one.problem for one in doctor.examine(Turbopilot(enabled=False))}
    assert found["reports", "with llama"] is False
    assert found["plugins", f"{__name__}.FailingCheck failed: LookupError: no report"] is True
    assert found["plugins", "failing (checks), reports (checks)"] is False
    why = "ModuleNotFoundError: No module named 'missing_package'"
    assert found["plugins", f"missing_package:Check is not used: {why}"] is True


def test_purge_deletes_and_lists_files_of_plugins(capsys: pytest.CaptureFixture[str]) -> None:
    FILE.parent.mkdir()
    FILE.touch()
    status, out, _ = run(capsys, "purge", "--yes")
    assert (status, FILE.exists()) == (1, False)
    assert out.endswith("FailingCheck failed: LookupError: no report\n")
    assert "because you wrote it:\n  reports/mine.html" in out.replace("\\", "/")
