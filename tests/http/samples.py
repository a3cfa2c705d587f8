"""Rich values for the tests: a gateway with one tunnel of every state, and a daemon to ask."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from vtid.esp.algorithms import EspAlgorithms
from vtid.http import metrics
from vtid.http.api import (
    AdoptResult,
    BgpList,
    BirdChange,
    BirdFile,
    FlushResult,
    LogLevels,
    ModeResult,
    Plan,
    RecentInput,
    ReloadResult,
    ResyncResult,
    SaList,
    UnavailableError,
)
from vtid.http.journal import Journal
from vtid.model.bgp import BgpChannel, BgpState
from vtid.model.bounds import Bound, MtuBound
from vtid.model.counts import Counts, LinkCounters
from vtid.model.ike import ListedChild, ListedIke
from vtid.model.input import BirdRefusal, BirdState
from vtid.model.levels import Level, LogLevel, Subsystem
from vtid.model.link import Clamp, Link, tunnel_name
from vtid.model.listing import Event, Listing
from vtid.model.loaded import Loaded, PolicyLoaded
from vtid.model.operation import DeleteLink, Op
from vtid.model.sa import ChildSa, IkeSa, Mark, SaMode
from vtid.model.status import (
    BgpRow,
    BirdSummary,
    PastOp,
    PatternStatus,
    ProbeStatus,
    Status,
    Summary,
    Trouble,
    TunnelDetails,
    TunnelState,
    TunnelStatus,
)

if TYPE_CHECKING:
    from vtid.model.listing import Wanted
    from vtid.model.mode import Mode

GCM = EspAlgorithms("AES_GCM_16", 256)


def sa(unique_id: int = 7, *, encap: bool = False, installed_at: float = 1000.0) -> ChildSa:
    return ChildSa(
        unique_id=unique_id,
        connection="V2-1",
        child="net",
        ike_unique_id=3,
        local_host="192.0.2.1",
        remote_host="192.0.2.2",
        mode=SaMode.TUNNEL,
        protocol="ESP",
        esp=GCM,
        encap=encap,
        mark_in=Mark(42),
        mark_out=Mark(42),
        local_id="gw-a",
        remote_id="gw-b",
        local_ts=("0.0.0.0/0",),
        remote_ts=("0.0.0.0/0",),
        installed_at=installed_at,
        rekey_at=installed_at + 3000,
        expires_at=installed_at + 3600,
    )


IKE = IkeSa(
    unique_id=3,
    initiator=True,
    encr="AES_CBC",
    encr_keysize=128,
    integ="HMAC_SHA2_256_128",
    prf="PRF_HMAC_SHA2_256",
    dh="ECP_384",
    nat=("local", "remote"),
    established_at=990.0,
    rekey_at=15000.0,
    reauth_at=80000.0,
)


def link(name: str = "vti42", *, up: bool = True) -> Link:
    return Link(
        netns="private",
        name=name,
        kind="vti",
        local="192.0.2.1",
        remote="192.0.2.2",
        ikey=42,
        okey=42,
        mtu=1446,
        alias=f"vtid:private/{name}",
        up=up,
    )


ESTABLISHED = BgpState(
    "vtid_vti42",
    "up",
    "Established",
    "12:00:01",
    since_at=1700.0,
    neighbor="2001:db8:ff::1",
    channels=(
        BgpChannel(
            "ipv4",
            "UP",
            12,
            2,
            3,
            11,
            import_updates=(20, 1, 2, 3, 14),
            import_withdraws=(5, 0, 1, 4),
            export_updates=(9, 4, 2, 3),
            export_withdraws=(8, 7),
        ),
        BgpChannel("ipv6", "UP", 0, None, 0, 0, limits_hit=("import",)),
    ),
    bfd="Up",
    bfd_since_at=1710.0,
    bfd_interval=0.2,
    bfd_timeout=1.0,
    bird="private",
)
MISSING = BgpState("vtid_vti43", "", "", "", neighbor="2001:db8:ff::3", bird="private")

PROBE = ProbeStatus(
    peer="2001:db8:ff::1",
    search="search complete",
    computed_mtu=1446,
    proven_mtu=1398,
    alive=True,
    sent=40,
    answered=31,
    rtt=0.0125,
    answered_at=1625.0,
    error="",
)
UP = TunnelStatus(
    tunnel="private/vti42",
    interface="vti42",
    netns="private",
    policy="V2-1/*",
    state=TunnelState.UP,
    reason="CHILD_SA V2-1/net{7} is installed",
    since=1500.0,
    sas=(sa(),),
    ike=IKE,
    link=link(),
    ifindex=9,
    addresses=("2001:db8:ff::/127",),
    clamp=Clamp(1406, 1386),
    mtu_bounds=(MtuBound(Bound.CIPHERS, 1446, 1500), MtuBound(Bound.PROVEN, 1398)),
    mtu_limit=Bound.PROVEN,
    underlay_mtu=1500,
    underlay_interface="eth0",
    bgp=(ESTABLISHED,),
    counts=Counts(3, 2, 7, 1, LinkCounters(1000, 2000, 10, 20, 1, 2, 3, 4, 5)),
    probe=PROBE,
)
DOWN = TunnelStatus(
    tunnel="vti50",
    interface="vti50",
    netns="",
    policy="V2-2/*",
    state=TunnelState.DOWN,
    reason="no CHILD_SA",
)
AWAITED = TunnelStatus(
    tunnel="V2-4",
    interface="vti{mark}",
    netns="private",
    policy="V2-4/*",
    state=TunnelState.DOWN,
    reason="no CHILD_SA of V2-4 since start",
)
REPLACED = replace(DOWN, tunnel="vti51", interface="vti51", reason="hold time", series=False)
LOADED = Loaded(
    connections=3,
    children=4,
    unclaimed=2,
    unclaimed_names=(("roadwarrior", "net"),),
    policies=(
        PolicyLoaded("V2-1/*", "private", "vti42", loaded=True),
        PolicyLoaded("V2-2/*", "", "vti50", loaded=False),
    ),
)
PATTERN = PatternStatus("site-*/*", "vti{mark}", "", tunnels=3, up=2)
ERROR = TunnelStatus(
    tunnel="private/vti43",
    interface="vti43",
    netns="private",
    policy="V2-3/*",
    state=TunnelState.ERROR,
    reason="CHILD_SA V2-3/net{8} is installed",
    error="interface vti43 belongs to another program: rename it, or change `interface`",
    since=1600.0,
    sas=(sa(8),),
    bgp=(MISSING,),
    failures=4,
)

BIRD = BirdState(
    "main",
    connected=True,
    version="2.0.12",
    pushes=5,
    refusals=1,
    undos=2,
    unconfirmed=True,
    refusal=BirdRefusal("/etc/bird/vtid.conf:7:3 syntax error", 'import "x";', ("vti1",)),
    push_seconds=0.25,
    answered_at=1800.0,
    started_at=1750.0,
    reconfigured_at=1790.0,
    protocols=(ESTABLISHED,),
)


def status(*tunnels: TunnelStatus, **other: object) -> Status:
    values: dict[str, object] = {
        "version": "0.1.0",
        "started_at": 900.0,
        "config_loaded_at": 950.0,
        "config_error": "",
        "vici_connected": True,
        "vici_error": "",
        "namespaces": (("", ""), ("private", "")),
        "ready": True,
        "waiting_for": (),
        "tunnels": tunnels,
        "birds": (BIRD,),
    }
    return Status(**(values | other))  # type: ignore[arg-type]


SUMMARY = Summary(
    version="0.1.0",
    started_at=900.0,
    config_loaded_at=950.0,
    ready=True,
    waiting_for=(),
    synced=False,
    vici_connected=True,
    namespaces=2,
    namespaces_watched=2,
    birds=(
        BirdSummary(
            "main",
            connected=True,
            version="2.0.12",
            sessions=2,
            established=1,
            unconfirmed=True,
        ),
    ),
    tunnels={"up": 1, "pending": 0, "holding": 0, "down": 1, "error": 1},
    paused=0,
    drained=0,
    initiating=0,
    troubles=(
        Trouble("", "V2-9/net{3}: mode TRANSPORT", 0.0),
        Trouble("private/vti43", ERROR.error, 1600.0),
    ),
    more_troubles=0,
)

HISTORY = (
    PastOp(1500.0, "CreateLink", "", "done", "CHILD_SA V2-1/net{7} is installed"),
    PastOp(1500.1, "AddAddress", "2001:db8:ff::/127", "unchanged", "CHILD_SA is installed"),
    PastOp(1620.0, "SetClamp", "1406/1386", "failed", "MTU changed", error="nft: no such table"),
)


LISTED = ListedIke(
    unique_id=3,
    connection="V2-1",
    state="ESTABLISHED",
    version=2,
    initiator=True,
    local_host="192.0.2.1",
    remote_host="192.0.2.2",
    local_port=4500,
    remote_port=4500,
    local_id="gw-a",
    remote_id="gw-b",
    nat=("remote",),
    algorithms=("AES_GCM_16-256", "PRF_HMAC_SHA2_384", "ECP_384"),
    initiator_spi="7f0c1a2b3c4d5e6f",
    responder_spi="8f0c1a2b3c4d5e6f",
    established_at=1000.0,
    rekey_at=13630.0,
    children=(
        ListedChild(
            unique_id=7,
            child="net",
            state="INSTALLED",
            mode="TUNNEL",
            protocol="ESP",
            esp=GCM,
            encap=True,
            spi_in="c1d2e3f4",
            spi_out="c5d6e7f8",
            bytes_in=1_234_567,
            bytes_out=999,
            packets_in=1200,
            packets_out=10,
            used_in_at=1629.0,
            installed_at=1300.0,
            rekey_at=1620.0,
            expires_at=4900.0,
            local_ts=("0.0.0.0/0",),
            remote_ts=("0.0.0.0/0",),
            tunnels=("private/vti42",),
        ),
        ListedChild(8, "old", "REKEYED", "TUNNEL", "ESP", GCM),
    ),
)
CONNECTING = ListedIke(
    unique_id=4,
    connection="V2-2",
    state="CONNECTING",
    version=2,
    initiator=True,
    local_host="2001:db8:1::1",
    remote_host="2001:db8:2::1",
    tasks=("IKE_INIT", "IKE_AUTH"),
)
SAS = SaList((LISTED, CONNECTING))


def exposed(picture: Status, **options: Any) -> str:
    """All of the text that a scrape of a status brings, but for telemetry."""
    pieces: list[str] = []
    metrics.write(picture, pieces.append, **options)
    return "".join(pieces)


def _session(of: BgpState, tunnel: TunnelStatus, missing: str = "", **other: object) -> BgpRow:
    facts = {one.name: getattr(of, one.name) for one in fields(of)} | other
    about = {"tunnel": tunnel.tunnel, "tunnel_state": tunnel.state, "missing": missing}
    return BgpRow(**facts, **about, local_as=65001, remote_as=65002)  # type: ignore[arg-type]


SESSIONS = (
    _session(ESTABLISHED, UP, since_at=1400.0),
    _session(
        ESTABLISHED,
        UP,
        protocol="second",
        info="Active        Socket: Connection refused",
        since_at=1600.0,
        last_error="Received: Administrative shutdown",
        channels=(),
        bfd="Down",
    ),
    _session(MISSING, ERROR, "BIRD private has yet to take its file"),
    _session(MISSING, AWAITED, "no CHILD_SA of V2-4 since start", bird="main"),
)


LOG_LEVELS = (
    LogLevel(Subsystem.DAEMON, Level.INFO, Level.INFO),
    LogLevel(Subsystem.VICI, Level.DEBUG, Level.INFO, until=2230.0),
    LogLevel(Subsystem.KERNEL, Level.WARNING, Level.INFO),
)


class FakeDaemon:
    """An `Api` that answers what it was given and notes what it was asked to do."""

    def __init__(self, answer: Status) -> None:
        self.answer = answer
        self.screen = SUMMARY
        self.done: list[str] = []
        self.journal = Journal()
        self.reload_result = ReloadResult(ok=True)
        self.flush_result = FlushResult(removed=3)
        self.mode_finished = True
        self.adopt_result = AdoptResult(("private/vti42",), (), finished=True)
        self.resync_result = ResyncResult(operations=0, finished=True)
        self.ops: tuple[Op, ...] = ()
        self.bird_changes: tuple[BirdChange, ...] = ()
        self.planned = Plan()
        self.charon_error = ""
        self.sa_list = SAS
        self.levels = LOG_LEVELS
        self.sessions: tuple[BgpRow, ...] = SESSIONS
        self.inputs: tuple[RecentInput, ...] = (
            RecentInput(1000.0, "ChildDown", '{"unique_id": 7}'),
        )
        self.history: tuple[PastOp, ...] = HISTORY
        self.files: tuple[BirdFile, ...] = (
            BirdFile("main", "/etc/bird/vtid.conf", "protocol a {}\n"),
            BirdFile("second", "/etc/bird/2.conf", "protocol b {}\n", "-protocol c {}\n"),
        )

    async def whole(self) -> None:
        """It never is half of anything."""

    def status(self) -> Status:
        return replace(self.answer, tunnels=())

    async def full_status(self) -> Status:
        return self.answer

    def summary(self) -> Summary:
        return self.screen

    def tunnel(self, name: str) -> TunnelDetails | None:
        for one in self.answer.tunnels:
            if name in {one.tunnel, tunnel_name(one.netns, one.interface)}:
                facts = {member.name: getattr(one, member.name) for member in fields(one)}
                synced = one.state is not TunnelState.PENDING
                return TunnelDetails(**facts, synced=synced, history=self.history)
        return None

    async def reload(self) -> ReloadResult:
        self.done.append("reload")
        return self.reload_result

    async def plan(self) -> Plan:
        return Plan(self.ops, self.bird_changes)

    async def plan_for(self, text: str, name: str) -> Plan:
        self.done.append(f"plan for {name}, {len(text)} characters")
        return replace(self.planned, errors=tuple(f"{name}: {one}" for one in self.planned.errors))

    async def flush(self) -> FlushResult:
        self.done.append("flush")
        return self.flush_result

    async def resync(self) -> ResyncResult:
        self.done.append("resync")
        return self.resync_result

    async def set_mode(self, mode: Mode, labels: tuple[str, ...]) -> ModeResult:
        self.done.append(" ".join((mode, *labels)))
        return ModeResult(mode, len(labels) or len(self.answer.tunnels), self.mode_finished)

    async def listing(self, wanted: Wanted) -> Listing:
        fits = [
            one
            for one in self.answer.tunnels
            if one.state in (wanted.states or set(TunnelState))
            and wanted.text.casefold() in f"{one.tunnel} {one.policy}".casefold()
        ]
        first = min(wanted.first, max(0, len(fits) - 1) // wanted.count * wanted.count)
        events = tuple(Event(fits[0].tunnel, past) for past in reversed(self.history) if fits)
        return Listing(len(fits), first, tuple(fits[first : first + wanted.count]), events)

    async def adopt(self, names: tuple[str, ...]) -> AdoptResult:
        self.done.append(" ".join(("adopt", *names)))
        return self.adopt_result

    def names(self) -> tuple[str, ...]:
        return tuple(one.tunnel for one in self.answer.tunnels)

    async def sas(self, tunnel: str, peer: str) -> SaList:
        self.done.append(f"sas of {tunnel or 'all'}, {peer or 'any'}")
        if self.charon_error:
            raise UnavailableError(self.charon_error)
        return self.sa_list

    async def recent(self) -> tuple[RecentInput, ...]:
        return self.inputs

    async def bgp(self, tunnel: str) -> BgpList:
        found = (one for one in self.sessions if tunnel in {"", one.tunnel})
        return BgpList(tuple(found))

    def log_levels(self) -> LogLevels:
        return LogLevels(self.levels)

    def set_log_level(
        self, subsystem: Subsystem | None, level: Level | None, seconds: float
    ) -> LogLevels:
        self.done.append(f"log {subsystem or 'all'} {level or 'default'} {seconds:g}")
        return LogLevels(self.levels)

    async def bird_files(self, *, passwords: bool) -> tuple[BirdFile, ...]:
        self.done.append(f"bird files, {passwords=}")
        return self.files


DELETE = DeleteLink(
    tunnel="private/vti42", reason="its policy is gone", netns="private", name="vti42", ifindex=9
)

FULL = status(UP, DOWN, ERROR, problems=("V2-9/net{3}: mode TRANSPORT",))
