"""Fixtures that tests of `vtictl` share."""

from tests.ctl.shell import no_terminal, shell

__all__ = ["no_terminal", "shell"]
