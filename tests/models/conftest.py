from .sources import data, server, store

__all__ = ["data", "server", "store"]
