"""The one composition root: settings in, a running exchange out. ``start``, ``run``, ``stop``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Final

import anyio
from starlette.types import ASGIApp

from exchange import __version__
from exchange.api.app import build_api
from exchange.api.context import ApiContext, ApiSettings
from exchange.api.past import NoHistory, SqlTables
from exchange.api.rate_limits import RateLimits
from exchange.api.request_ids import RequestIds
from exchange.api.socket.position_snapshots import PositionSnapshots
from exchange.api.socket.stream import FRAMERS, stream_routes
from exchange.api.tally import AnswerTally
from exchange.api.transport.connections import ConnectionCounter
from exchange.api.transport.gone import ClientGone
from exchange.api.transport.request_reader import Direct
from exchange.base.bounds import CONFLATE_CHECK_S, SWITCH_CHECK_S
from exchange.base.clock import Clock
from exchange.base.entropy import Entropy
from exchange.config import Config, settings_in_force
from exchange.engine.market_day import Timers
from exchange.engine.venue import Venue
from exchange.journal.protocol import Journal, JournalMissing
from exchange.journal.snapshots import snapshot_paths
from exchange.journal.stopped import open_readable
from exchange.log import get_logger
from exchange.metrics import Metrics
from exchange.model.commands import (
    CancelOrders,
    Configuration,
    ExpireOrders,
    NoteConfiguration,
    SetPhase,
    TriggerStops,
    Uncross,
    Void,
)
from exchange.model.phases import batched_instruments
from exchange.model.roles import Role
from exchange.model.rules import GameRules
from exchange.pipeline.batch_clock import BatchClock
from exchange.pipeline.core import Core
from exchange.pipeline.expiry_clock import ExpiryClock
from exchange.pipeline.guards import Guards, cancel_unwatched
from exchange.pipeline.health import Health, State
from exchange.pipeline.hub import Hub
from exchange.pipeline.market_clock import MarketClock
from exchange.pipeline.market_feeds import Markets, open_markets
from exchange.pipeline.path import OrderPath
from exchange.pipeline.publish import Publisher
from exchange.pipeline.recovery import (
    Progress,
    Recovered,
    StartError,
    journal_rules,
    note_operator_act,
    open_game,
    recover,
)
from exchange.pipeline.snapshot_keeper import SnapshotKeeper, SnapshotStatistics
from exchange.pipeline.streams import PHASE_CHANNEL, PhaseFeed
from exchange.pipeline.supervisor import every
from exchange.services.game.keys import hash_key, key_id
from exchange.services.game.teams import TeamRegistry
from exchange.services.orders.register import OrderRegister
from exchange.services.positions.exposure import Exposure
from exchange.services.positions.fees import FeeSchedule
from exchange.services.positions.ledger import Ledger
from exchange.services.settlement.settlement import Settlement
from exchange.services.validation.admission import Admission
from exchange.storage.progress import ProjectionState, ProjectionWatch
from exchange.wire.encode_events import PrivateEventWriter
from exchange.wire.events import PhaseChange, ServerShutdown
from exchange.wire.orders import price_grids
from exchange.wire.times import time_text

EPOCH_BYTES: Final = 6


def build_core(rules: GameRules) -> Core:
    """The rules of one game with empty state."""
    teams = TeamRegistry(rules)
    register = OrderRegister()
    exposure = Exposure()
    ledger = Ledger(rules.instruments)
    venue = Venue(rules)
    admission = Admission(rules, register, exposure, teams, venue)

    def role_of(account: int) -> Role:
        team = teams.by_account(account)
        assert team is not None
        return team.role

    settlement = Settlement(register, exposure, ledger, FeeSchedule(role_of), role_of)
    return Core(rules, teams, register, exposure, ledger, venue, admission, settlement)


def replay_journal(
    data_dir: Path,
    *,
    until: int | None = None,
    snapshots: bool = False,
    hashes_at: Collection[int] = (),
    progress: Progress = lambda records: None,
) -> Recovered:
    """The state of a game after ``until``, nothing written; the server may be running.

    Raises JournalError.
    """
    journal = open_readable(data_dir)
    rules = journal_rules(journal)
    if rules is None:
        raise JournalMissing(f"no game in {data_dir}")
    paths = snapshot_paths(data_dir) if snapshots else ()
    return recover(
        journal, rules, build_core, snapshots=paths, until=until, hashes_at=hashes_at, progress=progress
    )


class Exchange:
    """A game on one journal. Life: ``start``, ``run`` beside the one who uses it, ``stop``."""

    def __init__(
        self,
        config: Config,
        journal: Journal,
        *,
        clock: Clock,
        entropy: Entropy,
        admin_key: str,
        metrics: Metrics | None = None,
        snapshots: Sequence[Path] = (),
        keeper: SnapshotKeeper | None = None,
        on_state: Callable[[State], None] = lambda state: None,
        tables: SqlTables | None = None,
    ) -> None:
        self.config = config
        self.metrics = metrics or Metrics()
        self.health = Health(on_state)
        self.request_ids = RequestIds(entropy)
        self.connections = ConnectionCounter(config.server.max_connections_per_address)
        self._tally = AnswerTally()
        self.metrics.registry.register(self._tally)
        self._journal = journal
        no_tables = SqlTables(ProjectionWatch(lambda: 0, clock, ProjectionState.OFF), NoHistory())
        self._projection, self._past = tables or no_tables
        self._clock = clock
        self._entropy = entropy
        self._admin_key = admin_key
        self._snapshots = snapshots
        self._keeper = keeper
        self._log = get_logger("exchange")
        self.market_clock: MarketClock
        self.expiry_clock: ExpiryClock
        self.batch_clock: BatchClock
        self.core: Core
        self.path: OrderPath
        self.hub: Hub
        self.guards: Guards
        self.markets: Markets
        self.api: ASGIApp
        self.direct: Direct

    async def start(
        self, *, void: tuple[int, str] | None = None, progress: Progress = lambda records: None
    ) -> Recovered:
        """Open or replay the game and build everything around it. ``void`` is a sequence and a reason."""
        configuration = self._configuration()
        rules = await open_game(self._journal, self.config.rules(), build_core, self._clock, configuration)
        recovered = self._recover(rules, progress)
        if void is not None:
            await self._void(recovered, *void)
            recovered = self._recover(rules, progress)
        for why in recovered.passed_over:
            self._log.warning("snapshot passed over", why=why)
        if self._keeper is not None:
            self._keeper.found(recovered.snapshot)
        self.core = recovered.core
        self.guards = Guards(self._submit_unwatched, self._clock)
        hub = self.hub = Hub(FRAMERS, self.guards.lost)
        epoch = self._entropy.token(EPOCH_BYTES).hex()
        publisher = self._publisher(hub, recovered, epoch)
        self.path = OrderPath(
            self.core,
            self._journal,
            publisher,
            config=self.config.responses,
            health=self.health,
            clock=self._clock,
            log=self._log,
            metrics=self.metrics,
        )
        self.market_clock = self._market_clock()
        self.expiry_clock = ExpiryClock(
            lambda: self.core.venue.next_expiry_us, clock=self._clock, submit=self._submit_by_clock
        )
        batched = batched_instruments(self.core.rules)
        self.batch_clock = BatchClock(batched, self.core.venue, self._submit_by_clock)
        context = self._context()
        api = build_api(context, stream_routes(context, hub, publisher, epoch))
        self.api = ClientGone(api, self.metrics.client_gone.inc)
        self.direct = api.direct
        self._observe(hub, publisher)
        self._take_up(recovered)
        return recovered

    def _recover(self, rules: GameRules, progress: Progress) -> Recovered:
        return recover(self._journal, rules, build_core, snapshots=self._snapshots, progress=progress)

    def _configuration(self) -> Configuration:
        admin_key_id = key_id(hash_key(self._admin_key))
        return Configuration(__version__, admin_key_id, settings_in_force(self.config))

    async def run(self) -> None:
        """Until :meth:`stop`, with everything accepted before it settled and published."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(every, self.config.market.check_interval_s, self.market_clock.check)
            tasks.start_soon(every, self.config.market.check_interval_s, self.expiry_clock.check)
            batch = self.core.rules.batch_auctions
            if batch is not None:
                tasks.start_soon(every, batch.interval_ms / 1_000, self.batch_clock.check)
            tasks.start_soon(every, SWITCH_CHECK_S, self.guards.expire)
            tasks.start_soon(self._tell_conflated)
            if self._keeper is not None:
                tasks.start_soon(self._keeper.run, lambda: self._journal.last_sequence)
            await self.path.run()
            tasks.cancel_scope.cancel()

    async def _tell_conflated(self) -> None:
        while True:
            await self.hub.has_conflated.wait()
            await anyio.sleep(CONFLATE_CHECK_S)
            self.hub.tell_conflated(self._clock.monotonic_ns())

    async def give_notice(self) -> None:
        """Tell every socket that the server stops, and give the clients time; none where nobody listens."""
        grace_s = 0.0 if self.health.is_stale else self.config.server.shutdown_notice_s
        now = time_text(self._clock.now_us())
        told = self.hub.tell_everyone(ServerShutdown(timestamp=now, grace_ms=round(grace_s * 1_000)))
        if told and grace_s:
            await anyio.sleep(grace_s)

    def stop(self) -> None:
        """Take nothing new and let the stages drain; :meth:`run` returns when they have."""
        self.health.drain()
        self.path.close()

    def _publisher(self, hub: Hub, recovered: Recovered, epoch: str) -> Publisher:
        core, now_us = recovered.core, self._clock.now_us()
        grids = price_grids(core.rules.instruments)
        self.markets = open_markets(core, recovered.tapes, epoch, now_us)
        snapshots = PositionSnapshots(core.register, core.ledger, core.settlement, grids, self._clock)
        return Publisher(
            hub,
            recovered.streams,
            self.markets,
            writer=PrivateEventWriter(core.rules.instruments),
            snapshot=snapshots.of,
            phase=PhaseFeed(_phase_now(recovered, now_us)),
            log=self._log,
        )

    def _market_clock(self) -> MarketClock:
        grace_s, reopening_s = self.config.journal.restart_grace_s, self.config.market.reopening_s
        return MarketClock(
            self.core.admission.phases,
            self.core.rules.schedule,
            Timers(grace_us=round(grace_s * 1e6), reopening_us=round(reopening_s * 1e6)),
            clock=self._clock,
            submit=self._submit_by_clock,
        )

    def _submit_by_clock(self, command: SetPhase | ExpireOrders | Uncross) -> None:
        # A halted venue and a draining one sequence nothing: what is due now is due after the next start.
        if self.health.state in (State.STARTING, State.RUNNING):
            self.path.submit_system(command)

    def _context(self) -> ApiContext:
        core = self.core
        return ApiContext(
            rules=core.rules,
            settings=ApiSettings(
                admin_key_hash=hash_key(self._admin_key),
                invite_code=self.config.game.invite_code,
                max_body_bytes=self.config.server.max_body_bytes,
            ),
            intake=self.path.intake,
            responses=self.path.responses,
            health=self.health,
            admission=core.admission,
            register=core.register,
            exposure=core.exposure,
            ledger=core.ledger,
            settlement=core.settlement,
            teams=core.teams,
            venue=core.venue,
            markets=self.markets,
            guards=self.guards,
            limits=RateLimits(self.config.limits),
            clock=self._clock,
            entropy=self._entropy,
            request_ids=self.request_ids,
            log=self._log,
            tally=self._tally,
            state_hash=core.state_hash,
            queue_depths=self.path.depths,
            projection=self._projection.status,
            past=self._past,
            exposition=self.metrics.exposition,
        )

    def _observe(self, hub: Hub, publisher: Publisher) -> None:
        gauge, venue = self.metrics.gauge, self.core.venue
        connections = self.connections
        gauge("connections", "Open connections", lambda: connections.statistics().connections_open)
        gauge("connections_lost", "Connections lost in use", lambda: connections.statistics().client_gone)
        gauge("sockets", "Open WebSockets", lambda: hub.statistics().connections)
        gauge("sockets_too_slow", "WebSockets closed with 4008", lambda: hub.statistics().too_slow)
        gauge("publish_failures", "Messages that could not be told", lambda: publisher.statistics().failures)
        gauge("orders_open", "Orders at rest", lambda: venue.statistics().live_orders)
        gauge(
            "book_dead_entries",
            "Heap entries without order",
            lambda: venue.statistics().dead_entries,
        )
        gauge("journal_sequence", "Last durable sequence", lambda: self._journal.last_sequence)
        projection = self._projection.status
        gauge("projection_sequence", "Last sequence in the SQL tables", lambda: projection().sequence)
        gauge("projection_lag_records", "Records not in the tables yet", lambda: projection().lag_records)
        gauge("projection_lag_seconds", "Since the first such record", lambda: projection().lag_seconds)
        gauge(
            "projection_following",
            "1 while the projection does its work",
            lambda: projection().state is ProjectionState.FOLLOWING,
        )
        snapshots = self._keeper.statistics if self._keeper is not None else SnapshotStatistics
        gauge("snapshot_sequence", "Sequence of the newest snapshot", lambda: snapshots().sequence)
        gauge("snapshot_failures", "Snapshots that could not be taken", lambda: snapshots().failures)

    async def _void(self, recovered: Recovered, sequence: int, reason: str) -> None:
        failure = recovered.failure
        if failure is None or failure.sequence != sequence:
            fails = "no command does" if failure is None else f"sequence {failure.sequence} does"
            raise StartError(f"sequence {sequence} cannot be voided: it does not fail on replay, {fails}")
        await note_operator_act(self._journal, Void(sequence, reason), self._clock)

    def _take_up(self, recovered: Recovered) -> None:
        """Where the last run left off: after a failure read-only, after a crash halted for a grace period.

        Read-only, the market clock stands still too: what it would enter could not be sequenced.
        """
        failure = recovered.failure
        if failure is not None:
            self._log.critical("replay failed, read-only", sequence=failure.sequence, error=failure.error)
            self.health.halt(f"replay fails at sequence {failure.sequence} ({failure.error})")
            return
        self._note_configuration()
        self._carry_out_guards()
        crashed = not self._journal.was_clean
        if crashed:
            self._log.warning("the last run did not stop cleanly", sequence=self._journal.last_sequence)
            for wish in self.core.settlement.portfolio.outstanding():
                self.path.submit_system(wish)
            for instrument_id in self.core.venue.waiting_stops():
                self.path.submit_system(TriggerStops(instrument_id))
        grace_s = self.config.journal.restart_grace_s
        if crashed and grace_s > 0:
            self._log.warning("market halted, cancels are taken", reopens_after_s=grace_s)
        self.market_clock.start(crashed=crashed and grace_s > 0)
        self.health.run()

    def _note_configuration(self) -> None:
        configuration = self._configuration()
        if self.core.settlement.audit.configuration != configuration:
            self.path.submit_system(NoteConfiguration(configuration))

    def _submit_unwatched(self, command: CancelOrders) -> None:
        self.path.submit_distinct(command)

    def _carry_out_guards(self) -> None:
        # Whatever way the last run ended, its sockets and timers ended with it.
        for team in self.core.teams.all():
            for reason in sorted(team.guards, key=attrgetter("value")):
                self.path.submit_system(cancel_unwatched(team.account, reason))


def _phase_now(recovered: Recovered, now_us: int) -> PhaseChange:
    market = recovered.core.admission.phases.market
    return PhaseChange(
        seq=0,
        timestamp=time_text(now_us),
        channel=PHASE_CHANNEL,
        phase=market.phase,
        reason=market.reason,
    )
