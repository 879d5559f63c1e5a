"""Running programs that a model wrote: with limits that hold accidents, and no wall against intent."""

from jupyter_turbopilot.running.doctests import Verdict as Verdict
from jupyter_turbopilot.running.doctests import doctest_program as doctest_program
from jupyter_turbopilot.running.doctests import doctests_of as doctests_of
from jupyter_turbopilot.running.doctests import may_change as may_change
from jupyter_turbopilot.running.doctests import verdict_of as verdict_of
from jupyter_turbopilot.running.program import NO_SANDBOX as NO_SANDBOX
from jupyter_turbopilot.running.program import Outcome as Outcome
from jupyter_turbopilot.running.program import run_program as run_program
