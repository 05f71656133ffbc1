"""How a layer is called in tables."""


def short_path(path: str) -> str:
    """A module's path in one of our networks without what every path has: ``features.stem.conv`` is ``stem``."""
    return path.removeprefix("features.").removeprefix("head.").removesuffix(".conv").removeprefix(".")
