"""Table `inet vtid` of one namespace. An edge; it lives in the namespace's thread for nftables.

Rules of this file:

* It blocks, so it runs in that thread and nowhere else.
* The content of the table is remembered, so a change costs only what it changes.
* A table that cannot be read is one whose content is unknown: it is made anew. libnftables 1.0.6
  writes no whole JSON of one with flags, which somebody may have set to `dormant`.
* The kernel counts transactions: `_known` is the generation that is remembered, `_reported` the
  one that a snapshot and vtid's own transactions account for. Any other generation comes from
  another program. (NFTA_GEN_PROC_PID does not help: it is a thread's ID as seen by the initial PID
  namespace.)
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

from vtid.model.input import OpDone, OpFailed
from vtid.model.operation import DeleteClamp, Op, SetClamp
from vtid.nft import counters, ruleset
from vtid.nft.library import Nftables, NftError
from vtid.nft.ruleset import NOT_IN_FORCE, SHAPE, Listing, RulesetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtid.model.link import Clamp

UNREADABLE = frozenset({("unreadable",)})
"""Shape of a table that is there and cannot be read."""

Result = OpDone | OpFailed


class Table:
    """The table, or its absence, in the namespace of the present thread."""

    def __init__(self) -> None:
        self._nftables = Nftables()
        self._listing: Listing | None = None
        self._known = self._reported = -1
        self._sound_shapes = {SHAPE}
        self.transactions = 0
        """Transactions that wrote something."""

    def close(self) -> None:
        """Release libnftables."""
        self._nftables.close()

    def snapshot(self) -> tuple[tuple[str, Clamp], ...]:
        """Read the table; elements without rules that use them are NOT_IN_FORCE."""
        self._look()
        self._reported = self._known
        if self._listing is None:
            return ()
        clamps = self._listing.clamps()
        if not self._sound():
            clamps = dict.fromkeys(clamps, NOT_IN_FORCE)
        return tuple(clamps.items())

    def news(self) -> tuple[tuple[str, Clamp], ...] | None:
        """Return a snapshot if another program changed the ruleset since the last one."""
        return None if self._nftables.generation() == self._reported else self.snapshot()

    def clamped(self) -> dict[str, int]:
        """Return the packets that were clamped, by map; raises NftError."""
        found = Counter[str]()
        with closing(self._nftables.dump(counters.request())) as datagrams:
            for datagram in datagrams:
                some, more = counters.parse(datagram)
                found.update(some)
                if not more:
                    break
        return dict(found)

    def execute(self, ops: Sequence[Op]) -> tuple[list[Result], int]:
        """Run operations; return their results and the number of writing transactions."""
        before = self.transactions
        if self._nftables.generation() != self._known:
            self._look()
        results = self._execute_all(ops)
        return results, self.transactions - before

    def _execute_all(self, ops: Sequence[Op]) -> list[Result]:
        """Run operations as one transaction, one by one if it is refused."""
        try:
            return self._transact(ops)
        except (NftError, RulesetError) as error:
            self._look()
            if len(ops) == 1:
                return [OpFailed(ops[0], str(error))]
        return [result for op in ops for result in self._execute_all([op])]

    def _transact(self, ops: Sequence[Op]) -> list[Result]:
        changes = dict(_change(op) for op in ops)
        results: list[Result] = [OpDone(op, changed=self._differs(*_change(op))) for op in ops]
        text = self._text(changes)
        if text:
            self._write(text, changes)
        return results

    def _differs(self, interface: str, clamp: Clamp | None) -> bool:
        """Tell whether an interface has anything but `clamp`."""
        if self._listing is None:
            return clamp is not None
        there = {m: v[interface] for m, v in self._listing.elements.items() if interface in v}
        return there != ruleset.values(clamp) or (clamp is not None and not self._sound())

    def _text(self, changes: dict[str, Clamp | None]) -> str:
        """Return the transaction for `changes`; empty if there is nothing to do."""
        if self._listing is None:
            return self._rebuild(changes) if any(changes.values()) else ""
        if ruleset.leaves_nothing(self._listing.elements, changes):
            return ruleset.remove_table()
        if not self._sound():
            return self._rebuild(changes)
        return ruleset.change(self._listing.elements, changes)

    def _rebuild(self, changes: dict[str, Clamp | None]) -> str:
        """Return the text that makes the table anew with all its elements and no gap."""
        known = self._listing.elements if self._listing else {}
        elements = {name: dict(known.get(name, {})) for name in ruleset.MAPS}
        ruleset.apply(elements, changes)
        return ruleset.build(elements)

    def _write(self, text: str, changes: dict[str, Clamp | None]) -> None:
        """Run a transaction and remember what the table then is."""
        was_sound = self._sound()
        before = self._nftables.generation()
        self._nftables.run(text)
        self.transactions += 1
        after = self._nftables.generation()
        alone = after == before + 1
        if alone and before == self._reported:
            self._reported = after
        if alone and before == self._known and was_sound and text != ruleset.remove_table():
            self._remember(changes, after)
            return
        self._read()
        if alone and self._known == after and self._listing:
            self._sound_shapes.add(self._listing.shape)

    def _remember(self, changes: dict[str, Clamp | None], generation: int) -> None:
        if self._listing:
            ruleset.apply(self._listing.elements, changes)
        self._known = generation

    def _sound(self) -> bool:
        return self._listing is not None and self._listing.shape in self._sound_shapes

    def _look(self) -> None:
        """Read the table before something is made of it: it need not be readable."""
        try:
            self._read()
        except RulesetError:
            self._listing = Listing(UNREADABLE)
            self._known = self._nftables.generation()

    def _read(self) -> None:
        generation = self._nftables.generation()
        self._listing = None
        if self._is_there():
            self._listing = ruleset.parse(self._nftables.list("table inet vtid"))
        self._known = generation

    def _is_there(self) -> bool:
        try:
            return ruleset.has_table(self._nftables.list("tables inet"))
        except RulesetError:  # because of somebody else's table, perhaps
            return self._can_be_listed()

    def _can_be_listed(self) -> bool:
        try:
            self._nftables.list("table inet vtid")
        except NftError:
            return False
        return True


def _change(op: Op) -> tuple[str, Clamp | None]:
    match op:
        case SetClamp(interface=interface, clamp=clamp):
            ruleset.interface_name(interface)
            return interface, clamp
        case DeleteClamp(interface=interface):
            return interface, None
    raise TypeError(f"not an operation of nftables': {op}")
