from ....plugins.convert.conftest import checkpoint, whole

__all__ = ["checkpoint", "whole"]
