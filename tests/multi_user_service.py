"""A service in this process that distinguishes users by a header of each request."""

from pathlib import Path
from typing import Any

from jupyter_server.auth.identity import User

from jupyter_turbopilot.jupyter.identity import KeyIdentity, StandaloneIdentity
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
from jupyter_turbopilot.protocol.errors import RefusedError, TurbopilotError
from jupyter_turbopilot.settings.config import Turbopilot

from .on_thread import OnThread

WHO = "X-Who"


class HeaderIdentity(StandaloneIdentity):
    """Accepts the user name in the header without a check."""

    distinguishes_users = True

    def get_user(self, handler: Any) -> User | None:
        name = handler.request.headers.get(WHO)
        return User(name) if name else None

    def may_manage(self, user: Any) -> bool:
        return False

    def allows_any_host(self, headers: Any) -> bool:
        return False

    def missing_key_error(self) -> TurbopilotError:
        return RefusedError(401)


class Service(OnThread):
    """A server, with a real engine unless `pilot` is given."""

    def __init__(
        self, model: Path, *, pilot: Pilot | None = None, named: bool = True, **settings: Any
    ) -> None:
        plain: dict[str, Any] = {
            "keep_sequences": False,
            "yield_cpu": False,
            "threads": 1,
        }
        pilot = pilot or Pilot(Turbopilot(model=str(model), **(plain | settings)))
        super().__init__(pilot, HeaderIdentity if named else lambda: KeyIdentity("key", "127.0.0.1"))
        self.load()

    def post(self, route: str, body: dict[str, Any], who: str, **headers: str) -> Any:
        """Return the response to a user's request."""
        sent = {WHO: who, "Authorization": "Bearer key"} | headers
        answer = self.client.post(f"/{route}", json=body, headers=sent)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def reused(self, prompt: str, who: str, headers: Any = None, **more: Any) -> int:
        """Return how many tokens of a prompt came from the cache."""
        body = {"prompt": prompt, "max_tokens": 1, "temperature": 0} | more
        usage = self.post("v1/completions", body, who, **(headers or {}))["usage"]
        return int(usage["prompt_tokens_details"]["cached_tokens"])
