"""Assignment: which tunnel each CHILD_SA belongs to, by the policies. Pure.

Rules of this file:

* Every installed SA belongs to one tunnel (or one per direction), or is a problem with one line, or
  no policy matches it.
* An SA joins its new tunnel before it leaves the old one.
* After a rekey, an SA takes the place of the one before: nothing is asked that had its answer.
* A tunnel whose last SA leaves gets its hold time; the planner decides what follows.
"""

from __future__ import annotations

from collections import defaultdict
from operator import attrgetter
from typing import TYPE_CHECKING

from vtid.config.types import is_static
from vtid.core.alias import connection_in, is_of
from vtid.core.crowd import members_for
from vtid.core.desired import tunnel_of
from vtid.core.directions import halves
from vtid.core.labels import Labels
from vtid.core.naming import PolicyError, interface_name
from vtid.core.news import tell_sas
from vtid.core.policies import Policies
from vtid.core.sas import SaTable
from vtid.core.sharing import peer_of
from vtid.core.since import Kind
from vtid.model.input import ChildRekeyed
from vtid.model.link import tunnel_name

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Iterator

    from vtid.config.keys import Config, Policy
    from vtid.core.paths import Paths
    from vtid.core.sas import Changes, SaInput
    from vtid.core.since import Since
    from vtid.core.tunnels import Tunnel, Tunnels
    from vtid.model.input import SaSnapshot
    from vtid.model.sa import ChildSa


DECIDES = (
    *("connection", "child", "local_host", "remote_id", "mode", "ipcomp"),
    *("mark_in", "mark_out", "if_id_in", "if_id_out", "local_vips", "remote_vips"),
)
"""Fields of an SA that decide which tunnels it has, and whether it can; a rekey changes none."""
_decides = attrgetter(*DECIDES)


class Assignment:
    """Policies, SAs, and the tunnels between them."""

    def __init__(self, tunnels: Tunnels, paths: Paths, since: Since) -> None:
        self.policies: Policies | None = None
        self.problems: dict[int, str] = {}
        """SAs that cannot have a tunnel, by unique ID, each with the reason."""
        self.vici_error: str | None = "not connected yet"
        """Why the SAs may be out of date; None while VICI is connected."""
        self.labels = Labels()
        self.sas = SaTable()
        self.tunnels_of: dict[int, tuple[str, ...]] = {}
        """Names of the tunnels of an SA, by unique ID: one, or one per direction."""
        self._tunnels = tunnels
        self._paths = paths
        self._since = since
        self.serving: dict[tuple[str, str, bool], str] = {}
        """Name of the last tunnel of a connection, its child, and whether of the inbound half."""
        self._waiting: dict[int, set[int]] = defaultdict(set)
        """SAs that conflict with another one and wait for it to change or leave, by its ID."""
        self._waits_for: dict[int, int] = {}

    def namespaces(self) -> frozenset[str]:
        """Namespaces that the configuration names, and vtid's own."""
        return self.policies.namespaces if self.policies else frozenset()

    def use(self, config: Config, now: float) -> Iterator[None]:
        """Take a new configuration, in steps: any SA may now belong to another tunnel."""
        policies = Policies(config, indexed=False)
        yield from policies.index()
        self.policies = policies
        holds = (policy.hold_time for policy in policies.all)
        self._tunnels.longest_hold = max(holds, default=0.0)
        had_policy = [tunnel for tunnel in self._tunnels if tunnel.policy]
        for tunnel in had_policy:
            self._give(tunnel, policies.successor(tunnel.policy))
            yield
        for policy in policies.interfaces:
            if is_static(policy.interface):
                self._declare(policy)
            yield
        for sa in self.sas:
            self._assign(sa, now)
            yield
        for tunnel in had_policy:
            self._paths.follow(tunnel)
            if tunnel.policy is None:
                tunnel.hold_until = None
            yield
        yield from self.labels.use(policies, self._tunnels, self._is_replaced)
        for tunnel in self._tunnels:
            self._tunnels.changed(tunnel)
            yield

    def lost(self, why: str, now: float) -> None:
        """Note that VICI is lost: the SAs may be out of date from now on."""
        self.vici_error = why
        self._since.begin(Kind.VICI, "", now)

    def file(self, event: SaInput, now: float) -> Changes:
        """File an event about SAs; return which joined and which left."""
        changes = self.sas.apply(event)
        if changes.joined or changes.left:
            for _ in self._follow(event, changes, changes.joined, now):
                pass
        return changes

    def list_all(self, event: SaSnapshot, now: float) -> Generator[None, None, Changes]:
        """File charon's list of SAs in steps; return which joined and which left."""
        changes = yield from self.sas.list_all(event)
        joined: Iterable[ChildSa] = changes.joined
        if not self._tunnels.sas_known:
            last = []
            for sa in joined:
                last.append(self._has_no_interface(sa))
                yield
            first = [sa for sa, is_last in zip(joined, last, strict=True) if not is_last]
            joined = [*first, *(sa for sa, is_last in zip(joined, last, strict=True) if is_last)]
        yield from self._follow(event, changes, joined, now)
        yield from self._synced_with_charon(now)
        return changes

    def _follow(
        self, event: SaInput | SaSnapshot, changes: Changes, joined: Iterable[ChildSa], now: float
    ) -> Iterator[None]:
        """Give and take what joined, in that order, and what left."""
        is_news = self._tunnels.sas_known
        touched = (*changes.joined, *changes.left)
        before = {sa.unique_id: self.tunnels_of.get(sa.unique_id, ()) for sa in touched}
        replaced = changes.left[0] if isinstance(event, ChildRekeyed) and changes.left else None
        for sa in joined:
            self._assign(sa, now, replaced)
            yield
        for sa in changes.left:
            self._accept(sa)
            self._stop_waiting(sa.unique_id)
            self._leave(sa, now)
            yield
        if is_news:
            yield from tell_sas(self._tunnels, event, changes, before, self.tunnels_of)

    def count_rekey(self, sa: ChildSa) -> None:
        """Count a rekeying with the tunnels of its new SA."""
        for name in self.tunnels_of.get(sa.unique_id, ()):
            tunnel = self._tunnels.get(name)
            if tunnel and tunnel.tally:
                tunnel.tally.rekeys += 1

    def _has_no_interface(self, sa: ChildSa) -> bool:
        """Whether no interface found at the start leads to an SA's peer.

        Those SAs come last: where several claim an interface, a restart must not move it. Neither
        must a rehearsal, which knows whom it served.
        """
        try:
            policy = self._policy_for(sa)
            name = tunnel_name(policy.netns, interface_name(policy, sa)) if policy else None
        except PolicyError:
            return True
        there = self._tunnels.get(name)
        link = there.observed.link if there else None
        if there is None or link is None:
            return True
        served = there.last_sa
        if served and peer_of(served) != peer_of(sa):
            return True
        return (link.local, link.remote) != (sa.local_host, sa.remote_host)

    def is_configured(self, tunnel: Tunnel) -> bool:
        """Whether a tunnel stays listed while it is down.

        One named after its SA (`vti{mark}`) stays until the same child gets another name, for
        example when a reauthentication with `%unique` marks changes the mark.
        """
        if tunnel.policy is None or is_static(tunnel.policy.interface):
            return tunnel.policy is not None
        if tunnel.serves is None:
            return tunnel.label == self.labels.of(tunnel.policy)
        return self.serving.get(tunnel.serves) == tunnel.name

    def restore(self, tunnel: Tunnel) -> None:
        """Put an interface that was named after its SA under its policy again, after a restart.

        The interface's alias names the policy. One whose tunnel is there again has another one.
        """
        link, policies = tunnel.observed.link, self.policies
        if tunnel.policy or link is None or policies is None:
            return
        for policy in policies.of_interface(tunnel.netns, connection_in(link.alias)):
            awaited = self.labels.tunnel(self.labels.of(policy)) is None
            if awaited and is_of(link.alias, tunnel.name, policy):
                self._give(tunnel, policy)
                self.labels.claim(tunnel, self._is_replaced)
                return

    def recall(self, tunnel: Tunnel, policy: Policy | None) -> None:
        """Put a tunnel under the policy that it had in another state, if there still is one."""
        self._give(tunnel, self.policies.successor(policy) if self.policies else None)

    def forget(self, tunnel: Tunnel) -> None:
        """Drop a tunnel that nothing wants and of which nothing is left."""
        self.labels.release(tunnel)
        if tunnel.serves and self.serving.get(tunnel.serves) == tunnel.name:
            del self.serving[tunnel.serves]

    def _declare(self, policy: Policy) -> None:
        tunnel = self._tunnels.get_or_add(policy.netns, policy.interface)
        self._give(tunnel, policy)
        self._paths.follow(tunnel)

    def _give(self, tunnel: Tunnel, policy: Policy | None) -> None:
        """Put a tunnel under a policy; its SAs are from now on counted as that one needs."""
        if tunnel.policy is not policy:
            tunnel.policy = policy
            tunnel.members = members_for(policy, tunnel.sas.values(), self._paths.known)

    def _synced_with_charon(self, now: float) -> Iterator[None]:
        """Begin the hold times that waited for charon's list of SAs.

        After a start, and when VICI is back, a tunnel without SA gets its hold time from now on:
        charon needs time to establish its SAs again.
        """
        first, self._tunnels.sas_known = not self._tunnels.sas_known, True
        if first and self.policies:
            for tunnel in self._tunnels:
                tunnel.label = ""  # until now the order of charon's list decided
            yield from self.labels.use(self.policies, self._tunnels, self._is_replaced)
        was_lost, self.vici_error = self.vici_error is not None, None
        for tunnel in self._tunnels:
            frozen = was_lost and tunnel.hold_until is not None
            if not tunnel.sas and (first or frozen):
                self._tunnels.hold(tunnel, now)
            self._tunnels.changed(tunnel)
            yield

    def _assign(self, sa: ChildSa, now: float, replaced: ChildSa | None = None) -> None:
        """Join an SA to the tunnels that its policy gives it, or note a problem."""
        self._stop_waiting(sa.unique_id)
        joined: list[tuple[Tunnel, ChildSa]] = []
        try:
            joined = self._tunnels_of_like(sa, replaced) or self._tunnels_for(sa)
            self._accept(sa)
        except PolicyError as error:
            self._refuse(sa, str(error), now)
        names = tuple([tunnel.name for tunnel, _ in joined])
        if self.tunnels_of.get(sa.unique_id) != names:
            self._leave(sa, now, but=names)
        for inbound, (tunnel, half) in enumerate(joined):
            self._join(tunnel, half, now, inbound=bool(inbound))
        if names:
            self.tunnels_of[sa.unique_id] = names

    def _join(self, tunnel: Tunnel, sa: ChildSa, now: float, *, inbound: bool) -> None:
        changed = tunnel.sas.get(sa.unique_id)
        tunnel.members.join(sa, self._paths.known)
        tunnel.last_sa = sa
        tunnel.hold_until = None
        self._serve(tunnel, (sa.connection, sa.child, inbound))
        if before := self.labels.claim(tunnel, self._is_replaced):
            self._tunnels.revisit(before)
        self._paths.follow(tunnel)
        self._tunnels.changed(tunnel)
        if changed != sa:
            self._retry_waiting(sa.unique_id, now)

    def _serve(self, tunnel: Tunnel, child: tuple[str, str, bool]) -> None:
        """Note which child a tunnel serves; the one that served it before may now go."""
        name = self.serving.get(child)
        tunnel.serves, self.serving[child] = child, tunnel.name
        if name != tunnel.name and (before := self._tunnels.get(name)):
            self._tunnels.revisit(before)

    def _is_replaced(self, tunnel: Tunnel) -> bool:
        """Whether a tunnel yields its label: another one serves the child that it served last.

        One that was named after its SA before a restart yields to any of its policy.
        """
        if tunnel.serves is None:
            return tunnel.policy is not None and not is_static(tunnel.policy.interface)
        return self.serving.get(tunnel.serves) != tunnel.name

    def _tunnels_of_like(self, sa: ChildSa, other: ChildSa | None) -> list[tuple[Tunnel, ChildSa]]:
        """Return the tunnel of another SA if it has one and this SA is the same to the policies."""
        if other is None or _decides(sa) != _decides(other):
            return []
        names = self.tunnels_of.get(other.unique_id, ())
        tunnel = self._tunnels.get(names[0]) if len(names) == 1 else None
        return [(tunnel, sa)] if tunnel else []

    def _tunnels_for(self, sa: ChildSa) -> list[tuple[Tunnel, ChildSa]]:
        """Return the tunnels of an SA, the outbound one first, each with its half of the SA."""
        policy = self._policy_for(sa)
        if policy is None or self.policies is None:
            return []
        policy_in = self.policies.inbound(policy)
        if policy_in is None:
            return [(self._tunnel_for(policy, sa, *tunnel_of(policy, sa)), sa)]
        split = halves(policy, policy_in, sa)
        named = [(each, half, *tunnel_of(each, half)) for each, half in split]
        return [(self._tunnel_for(*each), each[1]) for each in named]

    def _tunnel_for(self, policy: Policy, sa: ChildSa, name: str, interface: str) -> Tunnel:
        tunnel = self._tunnels.get(name)
        if tunnel and tunnel.policy and tunnel.policy is not policy and tunnel.has_owner:
            raise PolicyError(
                f"{sa}: interface {interface} already serves connection "
                f"{tunnel.policy.connection!r}; give one of the two `[[tunnel]]` another "
                "`interface = `"
            )
        tunnel = tunnel or self._tunnels.get_or_add(policy.netns, interface)
        self._give(tunnel, policy)
        if conflict := tunnel.members.conflict(policy, interface, sa):
            self._waiting[conflict.other.unique_id].add(sa.unique_id)
            self._waits_for[sa.unique_id] = conflict.other.unique_id
            raise PolicyError(conflict.why)
        return tunnel

    def _policy_for(self, sa: ChildSa) -> Policy | None:
        found = self.policies.matching(sa) if self.policies else []
        if len(found) > 1:
            names = " and ".join(f"{policy.connection}/{policy.child}" for policy in found)
            raise PolicyError(
                f"{sa} is claimed by {len(found)} policies, {names}; make their `connection = ` "
                "and `child = ` patterns exclude each other"
            )
        return found[0] if found else None

    def _accept(self, sa: ChildSa) -> None:
        if self.problems.pop(sa.unique_id, None):
            self._since.end(Kind.SA, sa.unique_id)

    def _refuse(self, sa: ChildSa, why: str, now: float) -> None:
        self._since.begin(Kind.SA, sa.unique_id, now)
        if self.problems.get(sa.unique_id) == why:
            return
        self.problems[sa.unique_id] = why
        self._tunnels.note("error", "CHILD_SA refused", detail=why)

    def _leave(self, sa: ChildSa, now: float, but: Collection[str] = ()) -> None:
        """Remove an SA from its tunnels, except those named in `but`."""
        for name in self.tunnels_of.pop(sa.unique_id, ()):
            tunnel = self._tunnels.get(name)
            if tunnel and name not in but:
                self._leave_one(tunnel, sa, now)

    def _leave_one(self, tunnel: Tunnel, sa: ChildSa, now: float) -> None:
        tunnel.members.leave(sa.unique_id, self._paths.known)
        self._paths.follow(tunnel)
        if not tunnel.sas:
            self._tunnels.hold(tunnel, now)
        self._tunnels.changed(tunnel)
        self._retry_waiting(sa.unique_id, now)

    def _retry_waiting(self, other: int, now: float) -> None:
        """Assign again what conflicted with an SA that changed or left."""
        if other in self._waiting:
            for unique_id in sorted(self._waiting[other]):
                if waiting := self.sas.get(unique_id):
                    self._assign(waiting, now)

    def _stop_waiting(self, unique_id: int) -> None:
        other = self._waits_for.pop(unique_id, None)
        if other is not None:
            self._waiting[other].discard(unique_id)
            if not self._waiting[other]:
                del self._waiting[other]
