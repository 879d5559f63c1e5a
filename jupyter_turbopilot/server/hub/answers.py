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
REFUSED = 10.0  # seconds during which a token that the hub refused is refused without another question
MOST = 4096  # tokens of each kind at a time


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
