"""HTTP headers that Turbopilot servers send each other and routers."""

from __future__ import annotations

SESSION_HEADER = "X-Session-Id"  # of a request; a router sends each session to the same replica
REPLICA_HEADER = "X-Replica-Id"  # of an answer; names the replica behind a router
LOAD_HEADER = "X-Turbopilot-Load"  # of an answer; the level of load shedding for this user
