"""Identifies the callers of a hub's service by their tokens. The hub's answers count for a while."""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.identity import User

from jupyter_turbopilot.errors import BusyError, RefusedError
from jupyter_turbopilot.server.hub.client import MANAGES, scope_for
from jupyter_turbopilot.server.identity import StandaloneIdentity, is_key, sent_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jupyter_turbopilot.errors import TurbopilotError
    from jupyter_turbopilot.server.hub.client import Hub, Person


# Seconds: an answer counts so long, whatever has become of the hub, and is asked for anew from then on. So a
# token that is revoked lives that long at most, and a hub that starts anew in that time is not missed.
COUNTS, RENEWED = 300.0, 150.0
REFUSED = 10.0  # seconds during which a token that the hub refused is refused without another question
MOST = 4096  # tokens of each kind at a time


@dataclass(frozen=True)
class Answer:
    """Whom a token belongs to, and when the hub was asked."""

    person: Person
    asked: float


class Answers:
    """The answers by the tokens' digests: no token is kept."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._answers: dict[str, Answer] = {}  # the latest asked last
        self._refused: dict[str, float] = {}  # when the hub was asked; the latest last

    def find(self, digest: str, now: float) -> Answer | None:
        """Return what is known, if it still counts."""
        answer = self._answers.get(digest)
        return answer if answer and now < answer.asked + COUNTS else None

    def was_known(self, digest: str) -> bool:
        """Return whether the hub's last answer named an owner, even if the answer has expired."""
        return digest in self._answers

    def is_refused(self, digest: str, now: float) -> bool:
        """Return whether the hub refused the token a moment ago."""
        return digest in self._refused and now < self._refused[digest] + REFUSED

    def keep(self, digest: str, person: Person | None, now: float) -> None:
        """Record an answer; None: the hub does not know the token."""
        self._answers.pop(digest, None)
        self._refused.pop(digest, None)
        if person:
            self._answers[digest] = Answer(person, now)
        else:
            self._refused[digest] = now
        for kept in (self._answers, self._refused):
            while len(kept) > self._most:
                del kept[next(iter(kept))]


def digest_of(token: str) -> str:
    """Return what stands for a token."""
    return hashlib.sha256(token.encode()).hexdigest()


MOST_NEW = 256  # new tokens that the hub is asked about at a time; known ones are renewed beside them


@dataclass
class HubUser(User):
    """Somebody whom the hub knows."""

    groups: tuple[str, ...] = ()
    manages: bool = False


class HubIdentity(StandaloneIdentity):
    """Knows people by their tokens of a hub. The hub is asked, and what it says counts for a while."""

    names_people = True

    def __init__(self, hub: Hub, service: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`service`: the name the hub has for this one."""
        super().__init__()
        self._hub = hub
        self._service = service
        self._clock = clock
        self._answers = Answers()
        self._asking: dict[str, asyncio.Task[Person | None]] = {}  # by the token's digest
        self._new: set[str] = set()  # digests in `_asking` that the hub has not vouched for yet

    async def get_user(self, handler: Any) -> User | None:
        """Return the caller; None where no token was sent."""
        sent = sent_keys(handler.request.headers)
        if not sent:
            return None
        person = await self._person(sent[0]) if is_key(sent[0]) else None
        if person is None:
            raise RefusedError(
                401,
                "The JupyterHub does not know this token: it has expired, or was revoked. Stop your server "
                "in the hub's control panel and start it again.",
            )
        if not person.may_use(self._service):
            raise RefusedError(
                403,
                f"This token may not use the service {self._service}. The JupyterHub's administrator has to "
                f"give the roles `user` and `server` the scope {scope_for(self._service)}, as `jupyter "
                "turbopilot hub-config` prints it; then stop your server and start it again.",
            )
        return HubUser(person.known_as, person.name, groups=person.groups, manages=person.may_manage)

    async def _person(self, token: str) -> Person | None:
        """Return whom a token belongs to, without waiting for the hub where that is known."""
        digest, now = digest_of(token), self._clock()
        if self._answers.is_refused(digest, now):
            return None
        answer = self._answers.find(digest, now)
        if answer is None:
            return await asyncio.shield(self._ask(digest, token))
        if now >= answer.asked + RENEWED:
            self._ask(digest, token)
        return answer.person

    def _ask(self, digest: str, token: str) -> asyncio.Task[Person | None]:
        """Ask the hub, once at a time for each token."""
        if digest not in self._asking:
            if not self._answers.was_known(digest):
                if len(self._new) >= MOST_NEW:
                    raise BusyError("The JupyterHub is checking many new tokens. Try again in a moment.")
                self._new.add(digest)
            task = self._asking[digest] = asyncio.create_task(self._ask_hub(digest, token))
            task.add_done_callback(lambda done: self._asked(digest, done))
        return self._asking[digest]

    async def _ask_hub(self, digest: str, token: str) -> Person | None:
        asked = self._clock()
        person = await self._hub.who(token, known=digest not in self._new)
        self._answers.keep(digest, person, asked)
        return person

    def _asked(self, digest: str, done: asyncio.Task[Person | None]) -> None:
        del self._asking[digest]
        self._new.discard(digest)
        if not done.cancelled():
            done.exception()  # where nobody waits, a hub that is gone is no news for the log

    def may_manage(self, user: Any) -> bool:
        """Return whether an administrator sent a token that may manage models."""
        return bool(getattr(user, "manages", False))

    def not_manager(self) -> TurbopilotError:
        """Return an error that names the scope."""
        return RefusedError(
            403,
            f"This needs a token with the scope {MANAGES}, of an administrator of the JupyterHub. Create one "
            "on the hub's page Token. Tokens of Jupyter servers do not have this scope.",
        )

    def admits_any_host(self, headers: Mapping[str, str]) -> bool:  # noqa: ARG002
        """The proxy passes the hub's own names on; nothing is done for anybody without a token."""
        return True

    def unknown(self) -> TurbopilotError | None:
        """A token would help."""
        return RefusedError(
            401,
            "Send a token of this JupyterHub, as Authorization: Bearer. A server that the hub started does "
            'so with c.TurbopilotRemote.auth = "jupyterhub"; the hub\'s page Token makes one for others.',
        )

    async def stop(self) -> None:
        """Ask nothing any more."""
        for task in list(self._asking.values()):
            task.cancel()
        await self._hub.close()
