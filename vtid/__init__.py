"""Glue for route-based IPsec on strongSwan gateways."""


def __getattr__(name: str) -> str:
    """Look `__version__` up when it is asked for, as what the package is installed as.

    importlib.metadata would take longer than all of `vtictl` to start.
    """
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pathlib import Path  # noqa: PLC0415 - see above

    for found in Path(__file__).parent.parent.glob("vtid-*.dist-info"):
        return found.stem.partition("-")[2]
    return "0+checkout"  # run from a checkout that is not installed
