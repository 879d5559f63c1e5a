"""The text of one answer while its tokens arrive; the shown part only grows. Pure."""

from __future__ import annotations

import codecs
import math
import re
import time
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.suggestion.joining import joining_part
from jupyter_turbopilot.suggestion.trim import Cut, Matcher, trim

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jupyter_turbopilot.protocol.engine_request import Token
    from jupyter_turbopilot.suggestion.gate import Gate
    from jupyter_turbopilot.suggestion.surroundings import Surroundings


HOLD = 0.15  # seconds for which a suggestion is held back, because it may still become longer
_INDENTED = re.compile(r"\n([ \t]*+)(?=\S)")


class Writing(ABC):
    """Turns tokens into text; subclasses decide how much of it is shown."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._dropped = b""  # bytes to drop at the beginning of the text
        self.tokens: list[Token] = []
        self.shown = ""
        self.confidence = 1.0
        self.ended = False  # whether the text is complete: no continuation belongs to it
        self.gave_up = False  # whether no continuation would be shown
        self.held_since = math.inf  # when a part could first be shown
        self.released = False  # whether it was shown before it was complete

    @property
    def imports(self) -> tuple[str, ...]:
        """The import lines that the shown text needs."""
        return ()

    @property
    def opens(self) -> str:
        """The opening bracket, with a quote, that very probably follows the shown text."""
        return ""

    @property
    def table(self) -> str:
        """The variable of the kernel whose column the text names at the cursor."""
        return ""

    @property
    def fits(self) -> bool:
        """Whether the names in the shown text exist, as far as they are known."""
        return True

    @property
    def undecided(self) -> bool:
        """Whether a check lacked information: the next answer may show more or less."""
        return False

    @property
    def hidden_reason(self) -> str:
        """The reason to show nothing; empty if something is shown."""
        return ""

    @property
    def done(self) -> bool:
        """Whether further tokens cannot change the result."""
        return self.ended or self.gave_up

    def take(self, tokens: Iterable[Token]) -> bool:
        """Process tokens until the answer is done; return whether there is more to show."""
        grown = False
        for token in tokens:
            if not self._text and self._dropped:
                token = replace(token, data=token.data.lstrip(self._dropped))  # noqa: PLW2901
            self.tokens.append(token)
            piece = self._decoder.decode(token.data)
            self._text += piece
            grown = self._judge(piece, token) or grown
            if self.done:
                return grown
        return self._release() or grown

    def resume(self, tokens: Iterable[Token]) -> bool:
        """Process tokens that continue typed text: nothing is dropped at their beginning."""
        self._dropped = b""
        return self.take(tokens)

    @abstractmethod
    def finish(self, *, whole: bool) -> None:
        """Show the rest; `whole` means that the model ended the text itself."""

    @abstractmethod
    def _judge(self, piece: str, token: Token) -> bool:
        """Process the next piece of the text; return whether there is more to show."""

    def _release(self) -> bool:
        """Show text that was held back for long enough; return whether there was any."""
        return False

    def _show(self, text: str) -> bool:
        if len(text) <= len(self.shown) or not text.strip():
            return False
        self.shown = text
        return True


class TrimmedText(Writing):
    """A trimmed answer; an automatic one is shown only as far as the gate allows.

    It is shown once: when it is complete, or `HOLD` after a part of it could first be shown.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        gate: Gate,
        *,
        unasked: bool,
        hold: float = math.inf,
    ) -> None:
        """`hold`: see `HOLD`."""
        super().__init__()
        if surroundings.indented:
            # The line is already indented, which some models repeat.
            self._dropped = b" \t"
        self._surroundings = surroundings
        self._gate = gate
        self._unasked = unasked
        self._names = gate.names
        self._hold = hold
        self._cut = Cut("")  # the latest text, trimmed

    @property
    def imports(self) -> tuple[str, ...]:
        return self._names.imports(self.shown)

    @property
    def undecided(self) -> bool:
        return self._names.undecided

    @property
    def opens(self) -> str:
        opening = self._gate.opening(len(self.shown)) if self._unasked and self.shown else ""
        was_cut = not self._surroundings.rest and len(self._cut.text) <= len(self.shown)
        return "" if was_cut else opening

    @property
    def table(self) -> str:
        candidates = self._gate.candidates
        # The editor may have closed the quote.
        text = self.shown + self._surroundings.rest[:1]
        return candidates.table if text.startswith((*candidates.names,)) else ""

    @property
    def fits(self) -> bool:
        return self._names.fit(self.shown)

    @property
    def hidden_reason(self) -> str:
        if not self._unasked or self.shown:
            return ""
        return self._gate.hidden_reason if self._text.strip() else "nothing"

    def _judge(self, piece: str, token: Token) -> bool:
        self._gate.add(piece, token.probability, token.opening)
        self._cut = self._trim(final=False)
        self.ended = self._cut.done
        if not self._unasked:
            return self._show(self._whole_lines(self._cut.text))
        self.gave_up = self._gate.hopeless
        return False

    def _release(self) -> bool:
        if not self._unasked or self._hold == math.inf:
            return False  # `finish` shows it
        text = self._cut.text
        end, confidence = self._gate.shown(text, final=False)
        if not end:
            return False
        now = time.monotonic()
        self.held_since = min(self.held_since, now)
        if now - self.held_since < self._hold:
            return False
        self.confidence, self.gave_up, self.released = confidence, True, True
        return self._show(text[:end].rstrip())

    def finish(self, *, whole: bool) -> None:
        """Show the rest."""
        if self._unasked and self.shown:
            return
        # After trimming ended the answer, the text held back after that is not part of it.
        self._cut = cut = self._trim(final=whole and not self.ended)
        if whole and not self.gave_up:
            self._gate.end()
        end, self.confidence = self._gate.shown(cut.text)
        text = cut.text if whole else self._whole_lines(cut.text)
        self._show(cut.text[:end].rstrip() if self._unasked else text)

    def _trim(self, *, final: bool) -> Cut:
        cut = trim(self._text, self._surroundings, final=final)
        return replace(cut, text=joining_part(cut.text, self._names.joins))

    def _whole_lines(self, text: str) -> str:
        """Drop the last line if it is unfinished and not the only one."""
        if self._text[len(text) :].lstrip(" \t").startswith("\n"):
            return text
        above = text[: max(0, text.rfind("\n"))]
        return above if above.strip() else text


class Verbatim(Writing):
    """An answer as generated, up to the first stop sequence, as in other protocols."""

    def __init__(self, stop: Sequence[str] = (), indent: int = 0) -> None:
        super().__init__()
        self._stops = [Matcher(text) for text in dict.fromkeys(stop) if text]
        self._indent = indent
        self._last_line = 0  # start of the last line that was checked
        self.stopped_by = ""

    def _judge(self, piece: str, token: Token) -> bool:
        self.confidence *= token.probability
        before = len(self._text) - len(piece)
        ends = [(stop.text, before + end) for stop in self._stops if (end := stop.find(piece)) >= 0]
        matches = [(end, end - len(text), text) for text, end in ends]
        matches += [(at, at, "\n") for at in self._left_of_indentation()]
        if matches:
            # The first complete match, however the text is split into pieces.
            _, at, self.stopped_by = min(matches)
            self.ended = True
            return self._extend(self._text[:at])
        return self._extend(self._text[: len(self._text) - self._held_back()])

    def finish(self, *, whole: bool) -> None:  # noqa: ARG002
        """Show text held back as the possible beginning of a stop sequence."""
        if not self.ended:
            self._extend(self._text)

    def _left_of_indentation(self) -> list[int]:
        """Return the start of the first line with too little indentation."""
        if not self._indent:
            return []
        lines = _INDENTED.finditer(self._text, self._last_line)
        starts = [line.start() for line in lines if len(line[1].expandtabs(4)) < self._indent]
        self._last_line = max(self._last_line, self._text.rfind("\n", self._last_line))
        return starts[:1]

    def _held_back(self) -> int:
        body = len(self._text.rstrip()) if self._indent else len(self._text)
        line = self._text.find("\n", body)
        blank = len(self._text) - line if line >= 0 else 0
        return max(blank, *(stop.begun for stop in self._stops), 0)

    def _extend(self, text: str) -> bool:
        grown = len(text) > len(self.shown)
        self.shown = text if grown else self.shown
        return grown
