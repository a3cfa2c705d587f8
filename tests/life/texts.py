"""What the administrators of the two gateways write: swanctl.conf and vtid.toml.

Rules of this file: text only. What a test is about stands in the test; here is what all share.
"""

from __future__ import annotations

from dataclasses import dataclass

CONNECTION = "net"
INTERFACE = "inner"
HOLD_TIME = 3.0
"""Seconds that an interface outlives its last SA; longer than a new IKE_SA takes to come up."""
GCM = "aes256gcm16"
EVERYTHING = "local_ts = 0.0.0.0/0,::/0\n remote_ts = 0.0.0.0/0,::/0"
MARKS = "mark_in = 42\n mark_out = 42"


@dataclass(frozen=True, slots=True)
class End:
    """One of the two, by its number; all its addresses end with it."""

    number: int

    @property
    def outer4(self) -> str:
        return f"192.0.2.{self.number}"

    @property
    def outer6(self) -> str:
        return f"2001:db8::{self.number}"

    @property
    def inner4(self) -> str:
        return f"10.255.0.{self.number}"

    @property
    def inner6(self) -> str:
        return f"2001:db8:ff::{self.number}"


def child(name: str = CONNECTION, more: str = MARKS, esp: str = GCM, ts: str = EVERYTHING) -> str:
    """Write a child; `more` comes last, and counts where it says something again."""
    return f"{name} {{\n esp_proposals = {esp}\n rekey_time = 0\n {ts}\n {more}\n }}\n"


@dataclass(frozen=True, slots=True)
class Side:
    """What one administrator writes into the connection, besides who the two are."""

    children: str = child()
    ike: str = ""


def connection(local: str, remote: str, side: Side, name: str = CONNECTION) -> str:
    """Write a connection between two outer addresses, which are their identities too."""
    return f"""{name} {{
 version = 2
 mobike = no
 rekey_time = 0
 proposals = aes256gcm16-prfsha256-curve25519
 local_addrs = {local}
 remote_addrs = {remote}
 {side.ike}
 local {{
  auth = psk
  id = {local}
 }}
 remote {{
  auth = psk
  id = {remote}
 }}
 children {{
 {side.children}
 }}
}}
"""


def swanctl_conf(connections: str) -> str:
    """Write swanctl.conf, with one secret for all."""
    return f"""
connections {{
{connections}
}}
secrets {{
 ike-life {{
  secret = all of life
 }}
}}
"""


def policy(
    end: End,
    *,
    connection: str = CONNECTION,
    interface: str = INTERFACE,
    more: str = "",
) -> str:
    """Write a `[[tunnel]]` with the inner addresses of an end."""
    return f"""
[[tunnel]]
connection = "{connection}"
interface = "{interface}"
addresses = ["{end.inner4}/24", "{end.inner6}/64"]
{more}
"""


def vtid_toml(control: str, vici: str, policies: str) -> str:
    """Write vtid.toml around the policies."""
    return f"""
[daemon]
control_socket = "{control}"
metrics = []

[vici]
socket = "{vici}"

[defaults]
hold_time = "{HOLD_TIME:g}s"
{policies}"""
