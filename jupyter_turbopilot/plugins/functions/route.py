"""The route of helper functions."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from tornado.iostream import StreamClosedError

from jupyter_turbopilot.engine.job import DISCONNECTED, STOPPED
from jupyter_turbopilot.jupyter.metrics import Outcome, outcome_of_error
from jupyter_turbopilot.jupyter.routes.admission import admit, kernel_context
from jupyter_turbopilot.jupyter.routes.base import Route
from jupyter_turbopilot.jupyter.routes.endpoint import CodeEndpoint
from jupyter_turbopilot.jupyter.routes.jobs import Completions, Parser
from jupyter_turbopilot.jupyter.routes.streams import send_lines
from jupyter_turbopilot.plugins.functions.function_generator import generate_functions
from jupyter_turbopilot.plugins.functions.request import Event, FunctionRequest, HelperEvent
from jupyter_turbopilot.protocol.errors import TurbopilotError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from jupyter_turbopilot.analysis.kernel_context import KernelContext
    from jupyter_turbopilot.plugins.functions.function_generator import Step

MAX_PARALLEL = 2  # requests of a caller
COMPLETIONS = "helpers_completion"  # the name of the model's answers in the metrics


class HelpersRoute(Route):
    """`POST turbopilot/helpers`."""

    serves_kernels = True

    @CodeEndpoint(FunctionRequest, streams=HelperEvent, max_parallel=MAX_PARALLEL)
    async def post(self, request: FunctionRequest) -> None:
        """Generate a function and the functions that it calls. No generated code is executed."""
        await admit(self, request)
        outcome, error = str(Outcome.FAILED), None
        try:
            context = await kernel_context(self, request)
            steps = await Parser(self).run(generate_functions, request, context)
            events = self._events(steps, context)
            # An error before the first event is an error response.
            await send_lines(self, _lines(await anext(events), events), {"event": "done"})
            outcome = Outcome.COMPLETED
        except TurbopilotError as failure:
            outcome, error = outcome_of_error(failure), failure
            raise
        except StreamClosedError:
            outcome = DISCONNECTED
            raise
        finally:
            self.shared.metrics.count("helpers", outcome, error)

    async def _events(self, steps: Iterator[Step], context: KernelContext) -> AsyncGenerator[Event]:
        """Yield the events, and ask the model the questions in between."""
        while True:
            # The model's texts add work: each step has the whole limit.
            step = await Parser(self).run(next, steps, None)
            if step is None:
                return
            if isinstance(step, Event):
                yield step
                continue
            with self.shared.metrics.counted_errors(COMPLETIONS):
                self.shared.limits.charge(self.caller.name)
            completions = Completions(self, self.caller.name, COMPLETIONS, kernel_context=context)
            try:
                async for reply in await completions.replies(step.completion):
                    if reply.error:
                        raise reply.error
                    if event := step.take(reply):
                        yield event
            finally:
                completions.cancel(STOPPED)


async def _lines(first: Event, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
    async with aclosing(events):
        yield first
        async for event in events:
            yield event
