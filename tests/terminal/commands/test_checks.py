import sys
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


class OddCheck(Check):
    def examine(self) -> Iterable[Finding]:
        return ["fine"]  # type: ignore[list-item]

    def leftovers(self) -> Leftovers:
        return Leftovers(["report.html"])  # type: ignore[list-item]


class ExitingCheck(Check):
    def examine(self) -> Iterable[Finding]:
        sys.exit()

    def leftovers(self) -> Leftovers:
        def delete(_: Path) -> None:
            raise LookupError

        return Leftovers([FILE.with_name("kept.html")], delete=delete)


class FailingCheck(Check):
    def examine(self) -> Iterable[Finding]:
        raise LookupError("no report")

    def leftovers(self) -> Leftovers:
        raise LookupError("no report")


@pytest.fixture(autouse=True)
def _others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    others = [
        Entry("failing", f"{__name__}:FailingCheck"),
        Entry("reports", f"{__name__}:ReportsCheck"),
        Entry("broken", "missing_package:Check"),
        Entry("invalid", f"{__name__}:FILE"),
        Entry("odd", f"{__name__}:OddCheck"),
        Entry("exiting", f"{__name__}:ExitingCheck"),
    ]
    monkeypatch.setattr(registry, "registered", lambda: {"checks": others})
    monkeypatch.setattr(registry, "failures", {})


def test_doctor_lists_findings_of_plugins_and_failed_imports() -> None:
    found = {(one.name, one.text): one.problem for one in doctor.examine(Turbopilot(enabled=False))}
    assert found["reports", "with llama"] is False
    assert found["plugins", f"{__name__}.FailingCheck failed: LookupError: no report"] is True
    assert found["plugins", "exiting (checks), failing (checks), odd (checks), reports (checks)"] is False
    assert found["plugins", f"{__name__}.OddCheck failed: TypeError: str is not derived from Finding"] is True
    assert found["plugins", f"{__name__}.ExitingCheck failed: SystemExit: "] is True
    why = "ModuleNotFoundError: No module named 'missing_package'"
    assert found["plugins", f"missing_package:Check does not work: {why}"] is True


def test_purge_deletes_and_lists_files_of_plugins(capsys: pytest.CaptureFixture[str]) -> None:
    FILE.parent.mkdir()
    FILE.touch()
    status, out, _ = run(capsys, "purge", "--yes")
    assert (status, FILE.exists()) == (1, False)
    assert f"{__name__}.FailingCheck failed: LookupError: no report\n" in out
    assert f"{__name__}.OddCheck failed: TypeError: str is not derived from Path\n" in out
    assert "Could not be deleted:\n  reports/kept.html" in out.replace("\\", "/")
    assert "because you wrote it:\n  reports/mine.html" in out.replace("\\", "/")
