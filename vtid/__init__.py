"""Glue for route-based IPsec on strongSwan gateways."""


def __getattr__(name: str) -> str:
    """Look `__version__` up when it is asked for: it takes longer than all of `vtictl` to start."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - see above

    try:
        return version("vtid")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0+checkout"
