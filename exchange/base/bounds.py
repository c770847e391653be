"""Every bound of the system and what happens at it, in one place.

What an organiser may change is a default of :mod:`exchange.config` and names its bound here.
"""

from __future__ import annotations

from typing import Final

# --- numbers clients send ---------------------------------------------------------------------------
MAX_QUANTITY: Final = 1_000_000
"""Lots in one order; larger is INVALID_REQUEST."""
MAX_PRICE: Final = 1_000_000_000.0
"""Price in the currency; larger is INVALID_REQUEST."""
MAX_PRICE_TICKS: Final = 2**31 - 1
"""Price in ticks; larger is PRICE_OUT_OF_RANGE."""

# --- the order path ---------------------------------------------------------------------------------
ORDER_QUEUE_CAPACITY: Final = 4_096
"""Commands of clients waiting for validate; when full the request gets 503 OVERLOADED at once."""
SYSTEM_LANE_CAPACITY: Final = 8_192
"""Places of ``order_queue`` that only system commands may take, beyond those of clients. Coalescing keeps
one per team, instrument and kind, and guards enter one per team and for each GuardOrders that waits, so it is
never reached; if it were, the venue would halt by failure."""
SWITCH_CHECK_S: Final = 0.1
"""Seconds between two looks at the dead-man switches: how late one may expire."""
MAX_CANCEL_AFTER_MS: Final = 86_400_000
"""Longest timeout of a dead-man switch, a day; longer is INVALID_REQUEST."""
STAGE_QUEUE_CAPACITY: Final = 8_192
"""Items between two stages; a full queue makes the stage before it wait, and so intake refuse."""
STAGE_BATCH: Final = 256
"""Items a stage takes in one turn before it lets the loop run."""
MAX_IN_FLIGHT_PER_CONNECTION: Final = 64
"""Requests of one connection under way; HTTP stops reading, a socket answers TOO_MANY_IN_FLIGHT."""
MAX_BATCH_ORDERS: Final = 50
"""Orders of one batch, each of which counts as a request under way; more is INVALID_REQUEST."""

# --- order controls ---------------------------------------------------------------------------------
MAX_ICEBERG_SLICES: Final = 100
"""Times the display quantity goes into an order; a smaller one is DISPLAY_QUANTITY_OUT_OF_RANGE."""
MAX_EXPIRY_US: Final = 366 * 86_400_000_000
"""How far ahead a GTD order may expire; later is EXPIRES_AT_OUT_OF_RANGE."""

# --- responses --------------------------------------------------------------------------------------
MAX_PENDING_REQUESTS: Final = 1_000
"""Requests waiting for their answer; beyond it 503 OVERLOADED."""
MAX_PENDING_PER_TEAM: Final = 256
"""Of those, what one team may hold, so that none locks the others out; beyond it 503 OVERLOADED."""
TIMER_TICK_S: Final = 0.001
"""Shortest timer: uvloop's count whole milliseconds, and a shorter one would spin until the next begins."""
KEPT_RESPONSES: Final = 10_000
"""Answered requests that ``GET /exchange/requests/{id}`` still knows; the oldest goes first."""

# --- streams ----------------------------------------------------------------------------------------
PRIVATE_STREAM_EVENTS: Final = 10_000
"""Events kept per team for ``resume_from``; older is RESUME_TOO_OLD with a snapshot."""
PUBLIC_STREAM_EVENTS: Final = 1_000
"""Events kept per public channel for ``resume_from``; older gets a snapshot."""
BOOK_DEPTHS: Final = (5, 20)
"""Levels a side of the channels that show less than the whole book."""
ORDERS_PER_PART: Final = 500
"""Orders in one part of an order-by-order snapshot, which goes out at the pace of its reader."""
CANDLES_KEPT: Final = 1_440
"""Candles kept per instrument and interval, a day of minutes; the oldest goes first."""
MAX_CONFLATE_MS: Final = 60_000
"""Longest time between two messages that a subscriber may ask for; longer is INVALID_REQUEST."""
CONFLATE_CHECK_S: Final = 0.02
"""Seconds between two looks at the conflated subscriptions: how late their messages may be."""
CONNECTION_BUFFER_BYTES: Final = 1_048_576
"""Unsent bytes of one socket; beyond it the connection is closed with 4008."""
CONNECTION_BUFFER_MESSAGES: Final = 1_000
"""Unsent messages of one socket; beyond it the connection is closed with 4008."""
MAX_SUBSCRIPTIONS: Final = 1_000
"""Channels of one socket; one more is TOO_MANY_SUBSCRIPTIONS."""
MAX_BOOK_LEVELS: Final = 1_000
"""Levels of depth per side in one answer or snapshot."""

# --- lists ------------------------------------------------------------------------------------------
PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1_000
"""Rows of one page; a larger ``limit`` is INVALID_REQUEST."""

# --- the book ---------------------------------------------------------------------------------------
MAX_DEAD_ENTRIES: Final = 64
"""Entries of cancelled orders that one side of a book may keep whatever its size; above it they never
outnumber its live orders: one more and the heap is rebuilt."""
MAX_DEAD_SURFACING: Final = 1_024
"""Dead entries that may surface one by one between two rebuilds, beside an eighth of the live ones; one more
and the heap is rebuilt, so that no single command pays for a long run of them."""
MAX_TRIGGERED_STOPS: Final = 1_000
"""Stops that one command carries out; those beyond wait for a system command of their own."""
MAX_STOP_ORDERS: Final = 1_000
"""Live stop orders of one team in one instrument, triggered or not; one more is TOO_MANY_STOP_ORDERS."""
MAX_QUOTE_GROUPS: Final = 100
"""Groups of quotes that one team may protect; one more is TOO_MANY_QUOTE_GROUPS."""
MAX_PROTECTION_FILLS: Final = 1_000
"""Largest number of fills a protection may count to, and so the fills it remembers."""
MAX_PROTECTION_US: Final = 3_600_000_000
"""Longest window and longest freeze of a protection, an hour."""
MAX_BATCH_QUOTES: Final = 50
"""Quotes of one request, each of which counts as a request under way; more is INVALID_REQUEST."""
MIN_BATCH_INTERVAL_MS: Final = 10
MAX_BATCH_INTERVAL_MS: Final = 3_600_000
"""Time between two batch auctions; rules beyond it cannot be played."""
AUCTION_SLICE: Final = 256
"""Trades of an uncross, or cancels of a close, a mass cancel or an expiry, that are made and settled in one
turn of the loop. A replay takes the same slices; what one tells a team fits the buffer of its socket."""

# --- the game ---------------------------------------------------------------------------------------
MAX_TEAM_NAME: Final = 64
"""Characters of a team's name; a longer one is INVALID_REQUEST."""
MAX_ORDER_RATE: Final = 100_000
"""Largest ``max_orders_per_second`` of a role, and so the size of a team's rate window; config beyond it does
not load."""

# --- what is kept of the past -----------------------------------------------------------------------
FINISHED_ORDERS_PER_TEAM: Final = 10_000
"""Finished orders the register still knows; the one that finished first goes first, then is UNKNOWN_ORDER."""
CLIENT_ORDER_IDS_PER_TEAM: Final = 100_000
"""Client order ids that a resend is compared with; beyond it the oldest is forgotten and free again."""
EXECUTIONS_PER_TEAM: Final = 10_000
"""Fills listed by ``GET /exchange/executions``; the oldest goes first."""
TRADES_PER_INSTRUMENT: Final = 10_000
"""Trades listed by ``GET /exchange/trades/{id}``; the oldest goes first."""

AUDIT_ENTRIES: Final = 10_000
"""Acts listed by ``GET /admin/audit``; the oldest goes first. ``exchange audit list`` has them all."""

# --- connections ------------------------------------------------------------------------------------
MAX_HEADER_BYTES: Final = 16_384
"""Request target, names and values of one request's head; beyond it 431 HEADERS_TOO_LARGE and a close."""
MAX_HEADERS: Final = 100
"""Header fields of one request, and trailer fields; beyond it 431 HEADERS_TOO_LARGE, connection closed."""
MAX_TARGET_BYTES: Final = 4_096
"""Path and query of one request; beyond it 414 URI_TOO_LONG, connection closed."""
MAX_BODY_BYTES: Final = 65_536
"""Body of one request; beyond it 413 BODY_TOO_LARGE, connection closed."""
MAX_MESSAGE_BYTES: Final = 65_536
"""One WebSocket message from a client; beyond it the socket is closed with 1009."""
MAX_MESSAGE_FRAGMENTS: Final = 256
"""Frames of one message; empty ones count too. Beyond it the socket is closed with 1009."""
MAX_CONNECTIONS: Final = 10_000
"""Open connections; one more gets 503 TOO_MANY_CONNECTIONS and is closed."""
MAX_CONNECTIONS_PER_ADDRESS: Final = 1_000
"""Open connections of one client address; one more gets 503 TOO_MANY_CONNECTIONS and is closed."""
MAX_REFUSED_CONNECTIONS: Final = 100
"""Connections over those limits that are still being told so; beyond it they are dropped without a word."""
MAX_DISCARDED_BYTES: Final = 1_048_576
"""What a refused client may still send while it reads its refusal; beyond it the connection is reset."""
MAX_UNFLUSHED_FRAMES: Final = 128
"""Frames gathered for one socket in one turn of the loop; at it they are written without waiting."""

# --- the journal ------------------------------------------------------------------------------------
JOURNAL_BATCH_BYTES: Final = 8_388_608
"""Payload of one batch, a hundred times what STAGE_BATCH commands take; ``append`` raises for a larger one, a
programming error."""
JOURNAL_CHECKPOINT_PAGES: Final = 256
"""Pages of 4 KiB the write-ahead log gathers before they are moved into the database, after the commit was
acknowledged. So the log stays at about 1 MiB, and the next commit may wait about 1 ms."""
JOURNAL_WAL_KEPT_BYTES: Final = 4_194_304
"""Write-ahead log kept for reuse; what a larger batch or a long reader made it grow to is given back."""
JOURNAL_READ_BATCHES: Final = 64
"""Batches read at a time, so that a reader neither holds much memory nor holds up a checkpoint."""
HEAD_DELAY_S: Final = 0.05
"""From the first commit that the head file does not know to its write; with the write itself below 100 ms.
Only batches younger than that can be lost to damage without being noticed."""

SNAPSHOTS_KEPT: Final = 2
"""Snapshots of a game; a third takes the place of the oldest. The older is for when the newer is damaged."""
SNAPSHOT_WRITE_BYTES: Final = 1_048_576
"""Bytes of a snapshot between two flushes: a commit of the journal never waits for more than these."""
SNAPSHOT_CHECK_S: Final = 1.0
"""How often it is looked whether a snapshot is due."""
SNAPSHOT_TIMEOUT_S: Final = 600.0
"""How long making a snapshot may take; then its process is killed, the log says so and the next is tried."""

BACKUP_PAGES: Final = 1_024
"""Pages of 4 KiB of the journal that a backup copies between two words about its progress."""
MAX_MANIFEST_BYTES: Final = 65_536
"""Manifest of a backup; a longer one is cut off and so is none."""

# --- what a request carries ---------------------------------------------------------------------------
MAX_QUERY_PARAMETERS: Final = 16
"""Parameters in one query string; beyond it INVALID_REQUEST."""
MAX_ECHOED_CHARACTERS: Final = 200
"""Of what a client sent and an error message repeats; the rest is cut off."""
PARSED_QUERIES: Final = 256
"""Query strings of one operation whose parsed form is kept; the one not used for longest goes first."""
KNOWN_KEYS: Final = 2_048
"""API keys whose hash is kept; at the bound all are forgotten and hashed again when they come."""

RATE_BUCKETS: Final = 10_000
"""Token buckets of one kind, by team or address. At it the full ones are forgotten, which changes nothing,
and if there are none the oldest, whose owner begins with a full one."""
RATE_HEADERS: Final = 1_024
"""Values of what is left whose headers are kept ready; at it all are forgotten and made again."""

# --- sockets ----------------------------------------------------------------------------------------
RESUME_SLICE: Final = 64
"""Messages of a backlog encoded at a time; whether the next may be is asked after each slice."""
BACKLOG_BUFFER_BYTES: Final = 65_536
"""Bytes of its backlog that one socket is handed in one turn of the loop, and unsent bytes above which its
backlog waits until the client has read."""
SOCKET_IDLE_S: Final = 10.0
"""Seconds a socket may be open without a key and without a subscription; then it is closed with 4001."""

# --- recovery ---------------------------------------------------------------------------------------
REPLAY_PROGRESS_RECORDS: Final = 10_000
"""Records between two reports of progress of a replay."""

# --- the SQL projection -----------------------------------------------------------------------------
PROJECTION_RECORDS: Final = 4_000
"""Records that one transaction of the projection covers; what comes after them waits in the journal."""
PROJECTION_RETRY_S: Final = 5.0
"""Longest wait between two attempts of the projection to reach its database."""
MAX_PARTITIONS: Final = 1_000
"""Partitions of one table of the projection; rows of days beyond them go into the last one."""
STORAGE_BUSY_S: Final = 5.0
"""Seconds that a locked SQLite file is waited for; then the attempt has failed."""
STORAGE_CONNECT_S: Final = 5.0
"""Seconds that a connection to a database may take; then the attempt has failed."""
STORAGE_STATEMENT_S: Final = 60.0
"""Seconds that one transaction of the projection may take; then the attempt has failed."""
HISTORY_CONNECTIONS: Final = 2
"""Connections on which the server reads what it no longer keeps itself."""
HISTORY_PENDING: Final = 64
"""Such reads under way or waiting for a connection; one more page is answered without it at once."""
HISTORY_SLICE: Final = 256
"""Rows of such a read that are taken from the database in one turn of the loop."""
HISTORY_S: Final = 2.0
"""Seconds that such a read may take; then the page is answered without it."""
PROJECTION_DETAIL: Final = 500
"""Characters of what the projection says is wrong; the rest is cut off."""
PROJECTION_RESTART_S: Final = 30.0
"""Longest wait before the projection's process is started again."""
PROJECTION_LAG_TOLD_S: Final = 10.0
"""Lag above which the server logs that the projection falls behind."""
EXPORT_ROWS: Final = 10_000
"""Rows of an export in memory at a time, and in one row group of Parquet."""
LAG_MARKS: Final = 512
"""Points by which the projection's lag is measured; at it every other one is forgotten."""

# --- the SDK ----------------------------------------------------------------------------------------
REQUEST_ATTEMPTS: Final = 5
"""Times one request is sent before the SDK gives up: OutcomeUnknown where it may have taken effect."""
MAX_RETRY_AFTER_S: Final = 30.0
"""Longest wait the SDK lets an exchange ask for; a longer one is cut to this."""
RECONNECT_ATTEMPTS: Final = 1_000
"""Failed attempts in a row to get a socket again, more than an hour; then streams end with an error."""
HTTP_CONNECTIONS: Final = 100
"""Connections one HTTP transport holds; a request beyond it waits for a free one, within its timeout."""
MAX_ANSWER_BYTES: Final = 16_777_216
"""One answer or message the SDK reads; a larger one is NotUnderstood, a socket is closed and opened again."""
CLIENT_EVENTS: Final = 10_000
"""Events a client holds for its reader. At it the streams stop where they are and are resumed from there when
half is read: nothing is lost unless the exchange no longer keeps it, which is told as StreamReset."""
IN_PROCESS_MESSAGES: Final = 1_000
"""Messages under way in one direction of an in-process socket; the sender waits. The exchange also waits at
BACKLOG_BUFFER_BYTES."""

# --- recorded flows -----------------------------------------------------------------------------------
MAX_RECORDED_MESSAGES: Final = 1_000_000
"""Messages of a recorded flow, which is held in memory with its reports; a longer file is refused."""
MAX_FLOW_CLIENTS: Final = 64
"""Clients that play one flow; more is a wrong command line."""
FLOW_WAIT_S: Final = 10.0
"""Seconds an answer's executions may take to reach every client; then the flow has failed, and says what is
missing."""

# --- the demonstration --------------------------------------------------------------------------------
DEMO_LATENCIES: Final = 10_000
"""Latencies that the percentiles of the live line are taken from; the oldest goes first."""

# --- simulated markets --------------------------------------------------------------------------------
TURNS_AT_ONE_MOMENT: Final = 1_000_000
"""Turns of a virtual loop in which no time passes; one more and it raises Livelock."""
MAX_SIMULATED_BOTS: Final = 500
"""Bots of one simulated market, which all live in one process; more is a wrong command line."""
MAX_SIMULATED_HOURS: Final = 8_784.0
"""Hours of one, a leap year of them; more, or no end at all, is a wrong command line."""
