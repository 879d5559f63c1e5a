"""The text of one answer while its tokens arrive; what is shown only grows. Pure."""

from __future__ import annotations

import codecs
import re
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.suggestion.matching import Matcher
from jupyter_turbopilot.suggestion.trim import trim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jupyter_turbopilot.generation import Token
    from jupyter_turbopilot.suggestion.gate import Gate
    from jupyter_turbopilot.suggestion.surroundings import Surroundings


_INDENTED = re.compile(r"\n([ \t]*+)(?=\S)")


class Writing(ABC):
    """Turns tokens into text; the subclasses decide how much of it is shown."""

    def __init__(
        self,
        imports: Callable[[str], tuple[str, ...]] = lambda _: (),
        undecided: Callable[[], bool] = lambda: False,
    ) -> None:
        """`imports`: the import lines that a text needs; `undecided`: whether a judgement may change soon."""
        self._imports_of = imports
        self._undecided = undecided
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._dropped = b""  # bytes that are dropped at the beginning of the text
        self.tokens: list[Token] = []
        self.shown = ""
        self.confidence = 1.0
        self.ended = False  # the text is complete: nothing that could follow belongs to it
        self.gave_up = False  # nothing that could follow would be shown

    @property
    def imports(self) -> tuple[str, ...]:
        """The import lines that what is shown needs."""
        return self._imports_of(self.shown)

    @property
    def undecided(self) -> bool:
        """Whether something was not known yet when it was judged: more or less may be shown the next time."""
        return self._undecided()

    @property
    def done(self) -> bool:
        """Whether more tokens cannot add anything."""
        return self.ended or self.gave_up

    def take(self, tokens: Iterable[Token]) -> bool:
        """Take tokens until the answer is done; return whether there is more to show."""
        grown = False
        for token in tokens:
            if not self._text and self._dropped:
                token = replace(token, data=token.data.lstrip(self._dropped))  # noqa: PLW2901
            self.tokens.append(token)
            piece = self._decoder.decode(token.data)
            self._text += piece
            grown = self._judge(piece, token.probability) or grown
            if self.done:
                break
        return grown

    def resume(self, tokens: Iterable[Token]) -> bool:
        """Take tokens that continue what was typed: nothing is dropped at their beginning."""
        self._dropped = b""
        return self.take(tokens)

    @abstractmethod
    def finish(self, *, whole: bool) -> None:
        """Show what is left; `whole` means that the model has ended the text."""

    @abstractmethod
    def _judge(self, piece: str, probability: float) -> bool:
        """Take one more piece of the text; return whether there is more to show."""

    def _show(self, text: str) -> bool:
        if len(text) <= len(self.shown) or not text.strip():
            return False
        self.shown = text
        return True


class Suggestion(Writing):
    """An answer that is trimmed and, if it was not asked for, shown only as far as the gate lets it."""

    def __init__(
        self,
        surroundings: Surroundings,
        gate: Gate,
        *,
        unasked: bool,
        imports: Callable[[str], tuple[str, ...]] = lambda _: (),
        undecided: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(imports, undecided)
        if surroundings.indented:
            # The line is indented already, which some models repeat.
            self._dropped = b" \t"
        self._surroundings = surroundings
        self._gate = gate
        self._unasked = unasked

    def _judge(self, piece: str, probability: float) -> bool:
        self._gate.add(piece, probability)
        cut = trim(self._text, self._surroundings, final=False)
        self.ended = cut.done
        if not self._unasked:
            return self._show(self._whole_lines(cut.text))
        self.gave_up = self._gate.hopeless
        return self._pass(cut.text)

    def finish(self, *, whole: bool) -> None:
        """Show what is left."""
        # Where trimming has ended it, what was held back behind that is none of it.
        cut = trim(self._text, self._surroundings, final=whole and not self.ended)
        if whole and not self.gave_up:
            self._gate.end()
        self._pass(cut.text, final=True)
        if not self._unasked:
            self._show(cut.text if whole else self._whole_lines(cut.text))

    def _whole_lines(self, text: str) -> str:
        """Leave out the last line if it is unfinished and not the only one."""
        if self._text[len(text) :].lstrip(" \t").startswith("\n"):
            return text
        above = text[: max(0, text.rfind("\n"))]
        return above if above.strip() else text

    def _pass(self, text: str, *, final: bool = False) -> bool:
        end, self.confidence = self._gate.shown(text, final=final)
        return self._unasked and self._show(text[:end].rstrip())


class Verbatim(Writing):
    """An answer as the model wrote it, up to the first of the stop texts: what other protocols expect."""

    def __init__(self, stop: Sequence[str] = (), indent: int = 0) -> None:
        super().__init__()
        self._stops = [Matcher(text) for text in dict.fromkeys(stop) if text]
        self._indent = indent
        self._last_line = 0  # where the last line that was checked begins
        self.stopped_by = ""

    def _judge(self, piece: str, probability: float) -> bool:
        self.confidence *= probability
        before = len(self._text) - len(piece)
        ends = [(stop.text, before + end) for stop in self._stops if (end := stop.find(piece)) >= 0]
        matches = [(end, end - len(text), text) for text, end in ends]
        matches += [(at, at, "\n") for at in self._left_of_indentation()]
        if matches:
            # The first that is complete, in whatever pieces the text comes: no more was ever written.
            _, at, self.stopped_by = min(matches)
            self.ended = True
            return self._extend(self._text[:at])
        return self._extend(self._text[: len(self._text) - self._held_back()])

    def finish(self, *, whole: bool) -> None:  # noqa: ARG002
        """Show what was held back as the possible beginning of a stop text."""
        if not self.ended:
            self._extend(self._text)

    def _left_of_indentation(self) -> list[int]:
        """Return where the first line that is indented too little begins."""
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
