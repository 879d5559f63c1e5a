from ..models.sources import server

__all__ = ["server"]
