"""A route that has the model write something: begins it, counts it, and stops it when the caller has gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from jupyter_server.auth.identity import IdentityProvider

from jupyter_turbopilot.completer.waiting import AsyncBatch, AsyncReplies
from jupyter_turbopilot.context.facts import NONE, Facts
from jupyter_turbopilot.engine.job import DEADLINE, DISCONNECTED
from jupyter_turbopilot.engine.phase import not_ready
from jupyter_turbopilot.errors import BusyError, NotReadyError, TurbopilotError
from jupyter_turbopilot.request import Completion
from jupyter_turbopilot.server.routes.base import Route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.completer.waiting import Listener
    from jupyter_turbopilot.engine.job import Job
    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.pilot.pilot import Pilot
    from jupyter_turbopilot.raw_request import RawRequest
    from jupyter_turbopilot.reply import Reply


class JobRoute(Route):
    """A route that has something written; whoever goes away is not written for any longer."""

    completes = True
    errors = (BusyError, NotReadyError)

    @property
    def name(self) -> str:
        """The route, for who counts: nothing of the address that was asked for."""
        return type(self).__name__.removesuffix("Route").lower()

    @property
    def caller(self) -> str:
        """Who asks and gets a share of the model: nothing that a client can vary to get more of them."""
        name = self._username()
        # A key says nothing of who brings it, and without a name there is nothing else to go by.
        return f"{name} {self.request.remote_ip}" if self.standalone or not name else name

    def _editor(self, client: str) -> str:
        """Return what tells an editor from the caller's others: a newer request ends its own alone."""
        agent = self.request.headers.get("User-Agent", "")
        return f"{client} {self.request.remote_ip} {agent}" if client else ""

    def _username(self) -> str:
        """Return who has signed in; a name that was made up for one request alone says nothing."""
        provider = self.identity_provider
        signed_in = type(provider).get_user is not IdentityProvider.get_user or self.get_secure_cookie(
            provider.get_cookie_name(self), **provider.get_secure_cookie_kwargs
        )
        return str(getattr(self.current_user, "username", "")) if signed_in else ""

    def initialize(self, pilot: Pilot, secret: str = "") -> None:
        """Take what the route works with."""
        super().initialize(pilot, secret)
        self._jobs: list[Job] = []

    def replies(self, request: Completion | RawRequest, facts: Facts = NONE) -> AsyncReplies:
        """Begin, and return the replies as they grow; an error is raised if it comes first."""
        replies = AsyncReplies(self._count)
        self._begin(request, facts, replies.listen)
        return replies

    def together(self, requests: Sequence[RawRequest]) -> AsyncBatch:
        """Begin several at a time, and return the replies to all of them as they come."""
        batch = AsyncBatch(len(requests), self._count)
        for number, request in enumerate(requests):
            self._begin(request, NONE, batch.listener(number))
        return batch

    def _begin(self, request: Completion | RawRequest, facts: Facts, listener: Listener) -> None:
        self.pilot.ensure()  # `load_at_start` may be off; what kept it from being loaded may have gone
        if isinstance(request, Completion):
            request = msgspec.structs.replace(request, client=self._editor(request.client))
        try:
            self._jobs.append(self.pilot.completer.submit(request, listener, facts, self.caller))
        except TurbopilotError as error:
            self.metrics.count(self.name, error.code)
            raise

    def _count(self, reply: Reply) -> None:
        """Count how a request has ended."""
        if reply.done:
            outcome = reply.error.code if reply.error else reply.finish_reason or "answered"
            self.metrics.count(self.name, outcome)
            self.metrics.measure(reply.timings)

    async def whole(self, requests: Sequence[RawRequest]) -> list[Reply]:
        """Return the last reply to each request; but for what is only read ahead, all hold something."""
        last = {number: reply async for number, reply in self.together(requests) if reply.done}
        for number, request in enumerate(requests):
            self.insist(last[number], request)
        return [last[number] for number in range(len(requests))]

    @staticmethod
    def insist(last: Reply, request: RawRequest) -> None:
        """Raise an error where the last reply to a request holds nothing, and not only reading was asked."""
        if not last.items and not request.ahead:
            reason = last.finish_reason or DEADLINE
            why = "The time limit was reached" if reason == DEADLINE else "The request was ended"
            raise NotReadyError(f"{why} before anything was generated. Try again shortly.", code=reason)

    def vocabulary(self) -> Vocabulary:
        """Return the tokens of the model that is loaded, or say why there is none."""
        engine = self.pilot.worker.engine
        if engine is None:
            raise not_ready(self.pilot.worker.state)
        return engine.vocabulary

    def cancel(self, reason: str) -> None:
        """Stop what is being written."""
        for job in self._jobs:
            job.cancel.set(reason)
        self._jobs.clear()

    def drop(self) -> None:
        """Stop what is being written: nobody will read it."""
        self.cancel(DISCONNECTED)

    def on_finish(self) -> None:
        """Stop what was not waited for."""
        self.drop()
        super().on_finish()

    def on_connection_close(self) -> None:
        """Stop working for somebody who has gone."""
        self._left = True
        self.drop()
        super().on_connection_close()
