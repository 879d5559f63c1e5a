"""Whom a hub knows by a token: what it says of them, and whether they may use a service. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

# JupyterHub grants it to administrators, and not to the tokens of Jupyter servers.
MANAGES = "admin-ui"


class _Model(msgspec.Struct, frozen=True):
    """A hub's answer to `GET user`, as far as it matters here."""

    name: str
    kind: str = "user"
    admin: bool = False
    groups: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Person:
    """Somebody whom the hub knows, or a service of its."""

    name: str
    kind: str
    admin: bool
    groups: tuple[str, ...]
    scopes: frozenset[str]

    @property
    def known_as(self) -> str:
        """What tells them from everybody else: a service may be called as a user is."""
        return f"{self.kind}:{self.name}"

    def may_use(self, service: str) -> bool:
        """Whether their token has the scope to use a service. The hub sends scopes expanded."""
        return not self.scopes.isdisjoint({"access:services", scope_for(service)})

    @property
    def may_manage(self) -> bool:
        """Whether the token may manage models. The owner's role alone is not enough.

        An administrator's server has a token of that administrator, which any code in a notebook can read.
        """
        return self.admin and MANAGES in self.scopes


def scope_for(service: str) -> str:
    """Return the scope that lets somebody use a service."""
    return f"access:services!service={service}"


def read_person(answer: bytes) -> Person:
    """Read a hub's answer; a `ValueError` where it is none."""
    model = msgspec.json.decode(answer, type=_Model)  # its errors are ValueErrors
    if not model.name or model.kind not in {"user", "service"}:
        raise ValueError("not a hub's user")
    return Person(model.name, model.kind, model.admin, model.groups, frozenset(model.scopes))
