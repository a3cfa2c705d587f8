"""Passwords of BGP sessions that stand in files of their own: `password_file`. Pure.

Rules of this file:

* Who reads a file is handed in. What it says of one that cannot be used becomes a finding at the
  key, and never repeats what is in the file.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from vtid.config.bgp import checked_password

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vtid.config.bgp import Bgp
    from vtid.config.checks import Finding
    from vtid.config.keys import Policy

ReadPassword: TypeAlias = "Callable[[str], str]"
"""Returns the password in the file of a `password_file`; raises ValueError where there is none."""


def read_passwords(
    policies: Mapping[int, Policy], read: ReadPassword
) -> tuple[dict[int, Policy], list[Finding]]:
    """Return the policies with the passwords that are in files, and what is wrong with those."""
    findings: list[Finding] = []
    found = dict(policies)
    for index, policy in policies.items():
        if all(session.password_file is None for session in policy.bgp):
            continue
        sessions = []
        for number, session in enumerate(policy.bgp):
            try:
                sessions.append(_with_password(session, read))
            except ValueError as error:
                sessions.append(session)
                findings.append((("tunnel", index, "bgp", number, "password_file"), str(error)))
        found[index] = replace(policy, bgp=tuple(sessions))
    return found, findings


def _with_password(session: Bgp, read: ReadPassword) -> Bgp:
    if session.password_file is None or session.password is not None:
        return session
    password = read(session.password_file)
    try:
        return replace(session, password=checked_password(password))
    except ValueError as error:
        raise ValueError(f"{session.password_file}: {error}") from None
