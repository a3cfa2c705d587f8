"""Glue for route-based IPsec on strongSwan gateways."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("vtid")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0+checkout"
