"""The route of helper functions."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from tornado.iostream import StreamClosedError

from jupyter_turbopilot.engine.job import DISCONNECTED, STOPPED
from jupyter_turbopilot.jupyter.metrics import Outcome, outcome_of_error
from jupyter_turbopilot.jupyter.routes.endpoint import Endpoint
from jupyter_turbopilot.jupyter.routes.native import NotebookRoute
from jupyter_turbopilot.plugins.functions.function_generator import generate_functions
from jupyter_turbopilot.plugins.functions.model_requests import follow_async
from jupyter_turbopilot.plugins.functions.request import FunctionRequest, HelperEvent
from jupyter_turbopilot.protocol.errors import TurbopilotError
from jupyter_turbopilot.util.bounds import MOST_OPERATIONS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from jupyter_turbopilot.context.kernel_context import KernelContext
    from jupyter_turbopilot.plugins.functions.request import Event
    from jupyter_turbopilot.protocol.reply import Reply
    from jupyter_turbopilot.protocol.request import Completion

T = TypeVar("T")


class HelpersRoute(NotebookRoute):
    """`POST turbopilot/helpers`."""

    serves_kernels = True
    completion_metric = "helpers_completion"
    max_parallel = 2

    @Endpoint(FunctionRequest, streams=HelperEvent)
    async def post(self, request: FunctionRequest) -> None:
        """Generate a function and the functions that it calls. No generated code is executed."""
        outcome, error = str(Outcome.FAILED), None
        try:
            self.admit_content(request)
            self.take(self.caller)
            await self.admit(request)
            kernel_context = await self.kernel_context(request)
            steps = await self.parse(generate_functions, request, kernel_context)
            events = follow_async(
                steps, lambda completion: self._generate(completion, kernel_context), self._next_step
            )
            await self.stream(_lines(await anext(events), events), {"event": "done"})
            outcome = Outcome.COMPLETED
        except TurbopilotError as failure:
            outcome, error = outcome_of_error(failure), failure
            raise
        except StreamClosedError:
            outcome = DISCONNECTED
            raise
        finally:
            self.metrics.count("helpers", outcome, error)

    async def _next_step(self, step: Callable[..., T], *given: Any) -> T:
        """Return the next step. The model's texts add work, so each step has the limit of a request."""
        self._operations = MOST_OPERATIONS
        return await self.parse(step, *given)

    async def _generate(self, completion: Completion, kernel_context: KernelContext) -> AsyncGenerator[Reply]:
        """Yield the replies to a completion request."""
        self.check_connected()
        replies = await self.replies(completion, kernel_context)
        try:
            async for reply in replies:
                if reply.error:
                    raise reply.error
                yield reply
        finally:
            self.cancel(STOPPED)


async def _lines(first: Event, events: AsyncGenerator[Event]) -> AsyncGenerator[dict[str, Any]]:
    """Turn events into the lines of a stream."""
    async with aclosing(events):
        yield msgspec.to_builtins(first)
        async for event in events:
            yield msgspec.to_builtins(event)
