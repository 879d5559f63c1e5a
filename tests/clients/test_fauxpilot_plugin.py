"""The version of OpenAI's npm package that FauxPilot's plugin uses, against a real server."""

import json
import shutil
import subprocess
from pathlib import Path

from ..serving import Server


def test_completions_accept_the_fauxpilot_plugins_request(server: Server) -> None:
    script = Path(__file__).with_name("fauxpilot.mjs")
    message = subprocess.run(
        [str(shutil.which("node")), str(script), server.url, server.key],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert message.returncode == 0, message.stderr
    found = json.loads(message.stdout)
    assert found["choices"][0]["finish_reason"] in {"stop", "length"}
    assert found["usage"]["completion_tokens"] > 0
