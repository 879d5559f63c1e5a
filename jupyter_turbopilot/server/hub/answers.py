"""What a hub has said about tokens, and for how long that counts. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_turbopilot.server.hub.person import Person

# Seconds: an answer counts so long, whatever has become of the hub, and is asked for anew from then on. So a
# token that is revoked lives that long at most, and a hub that starts anew in that time is not missed.
COUNTS, RENEWED = 300.0, 150.0
MOST = 4096  # people at a time; who comes back is asked for again


@dataclass(frozen=True)
class Answer:
    """Whom a token belongs to, and when the hub was asked."""

    person: Person
    asked: float

    def is_old(self, now: float) -> bool:
        """Whether the hub should be asked again."""
        return now >= self.asked + RENEWED


class Answers:
    """The answers by the tokens' digests: no token is kept."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._answers: dict[str, Answer] = {}  # the latest asked last

    def find(self, digest: str, now: float) -> Answer | None:
        """Return what is known, if it still counts."""
        answer = self._answers.get(digest)
        return answer if answer and now < answer.asked + COUNTS else None

    def keep(self, digest: str, person: Person | None, now: float) -> None:
        """Take note of an answer; None: the hub does not know the token."""
        self._answers.pop(digest, None)
        if person:
            self._answers[digest] = Answer(person, now)
        while len(self._answers) > self._most:
            del self._answers[next(iter(self._answers))]


def digest_of(token: str) -> str:
    """Return what stands for a token."""
    return hashlib.sha256(token.encode()).hexdigest()
