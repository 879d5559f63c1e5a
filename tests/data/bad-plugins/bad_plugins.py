"""Plugins that fail in as many ways as possible, and one that works."""

import threading

from jupyter_turbopilot.protocol.fix import Edit, Fix
from jupyter_turbopilot.terminal.commands.checks import Check


def _raising(error):
    def find(_failure):
        raise error

    return {"NameError": (find,)}


def _hang(_failure):
    threading.Event().wait()


def _fix(failure):
    source = failure.cells[0].source
    edit = Edit(cell=0, start=0, end=len(source), old=source, text="pass")
    yield Fix(title="Remove it?", source="api", confidence=0.6, edits=[edit])


def listener_of(_settings, _where):
    return object()


class FailingCheck(Check):
    """Ends the process."""

    def examine(self):
        raise SystemExit(3)


class NoRoute:
    """Not derived from `Route`."""


ODD = object()
ROUTES = {"bad": "bad_plugins:NoRoute", "exiting": "bad_import:Route"}
UNREADABLE, WRONG, UNIMPORTED, EXITING = map(
    _raising, (OSError(), AssertionError(), ImportError(), SystemExit())
)
STUCK = {"NameError": (_hang,)}
NO_FIX = {"NameError": (lambda _: ["print"],)}
GOOD = {"NameError": (_fix,)}
