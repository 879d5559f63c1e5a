"""The dashboard for Grafana, and the queries that scale.md explains."""

import json
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from jupyter_turbopilot.jupyter.metrics import Metrics
from jupyter_turbopilot.protocol.reply import Timings
from jupyter_turbopilot.settings.config import Turbopilot
from tests.scripted_engine import ScriptedEngine, pilot_with

PACKAGE = Path(__file__).parents[1]


def test_dashboard_shows_the_documented_queries_of_existing_metrics() -> None:
    page = (PACKAGE / "scale.md").read_text()
    section = page.partition("## Metrics")[2].partition("\n## ")[0]
    documented = re.findall(r"^\| `(.+?)` \|", section, re.MULTILINE)
    dashboard = json.loads((PACKAGE / "deploy" / "grafana.json").read_text())
    assert [panel["targets"][0]["expr"] for panel in dashboard["panels"]] == documented
    metrics = Metrics(pilot_with(Turbopilot(), lambda *_: ScriptedEngine("")))
    metrics.count("complete", "completed")
    metrics.measure(Timings(prompt_tokens=2, cached_tokens=1, predicted_tokens=1))
    families = [*text_string_to_metric_families(metrics.text(with_users=True).decode())]
    existing = {sample.name for family in families for sample in family.samples}
    existing |= {f"{family.name}_total" for family in families if family.type == "counter"}
    assert set(re.findall(r"turbopilot_\w+", " ".join(documented))) <= existing
