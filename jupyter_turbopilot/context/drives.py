"""Paths as front ends tell them: JupyterLab puts the name of a drive before them. Pure."""


def names_of(path: str) -> tuple[str, str]:
    """Return what a path may be in the server's folder: as it is, or without what may be a drive."""
    return path.strip("/"), path.partition(":")[2].strip("/") or path.strip("/")
