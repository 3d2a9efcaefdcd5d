"""Changes of a database by hand, each with the check that must find it, and what repairs it."""

from typing import Literal, NamedTuple

Repair = Literal["reprocess", "full", "run", "settings", "partitions", ""]


class Change(NamedTuple):
    """A statement; the check that finds it; a part of what an example says; what repairs it."""

    name: str
    sql: str
    check: str
    says: str
    repair: Repair = ""


# An observation of an API between two others, whose price is known.
MIDDLE = """
    SELECT p.listing, p.at FROM price_points AS p JOIN listings AS l ON l.id = p.listing
    WHERE l.source = 'coinpaprika' AND p.price_usd IS NOT NULL AND NOT p.is_held
      AND p.market_cap_usd IS NOT NULL AND p.volume_24h_usd IS NOT NULL
      AND EXISTS (SELECT FROM price_points AS o WHERE o.listing = p.listing AND o.at < p.at)
      AND EXISTS (SELECT FROM price_points AS o WHERE o.listing = p.listing AND o.at > p.at)
    ORDER BY p.listing, p.at LIMIT 1"""
CANDLE = """
    SELECT listing, interval, start FROM candles
    WHERE interval = '{}' AND listing = (SELECT listing FROM (""" + MIDDLE + """) AS m)
    LIMIT 1"""  # fmt: skip
LISTING = """
    SELECT id FROM listings
    WHERE source = 'coingecko' AND price_usd IS NOT NULL AND cardinality(before) = 2
      AND contributes AND rank IS NOT NULL
    ORDER BY rank LIMIT 1"""
NEWEST = """
    SELECT r.source, r.external_id, r.content_hash
    FROM raw_api_records AS r JOIN listings AS l ON l.source = r.source
        AND l.external_id = r.external_id AND l.content_hash = r.content_hash
    WHERE r.source = 'coinpaprika' AND l.price_usd IS NOT NULL
    ORDER BY r.external_id LIMIT 1"""
# The one that the observation came in.
BODY = f"""
    SELECT b.id FROM bodies AS b JOIN price_points AS p ON p.fetched_at = b.fetched_at
    WHERE b.source = 'coinpaprika' AND (p.listing, p.at) = ({MIDDLE}) AND b.content IS NOT NULL
    LIMIT 1"""
COIN = "SELECT ticker FROM normalized_records WHERE ticker = 'ETH'"
RUN = """
    SELECT id FROM etl_runs
    WHERE source = 'coinpaprika' AND changed > 0 AND status = 'success' ORDER BY id LIMIT 1"""


def point(assignment: str) -> str:
    return f"UPDATE price_points SET {assignment} WHERE (listing, at) = ({MIDDLE})"


def candle(assignment: str, interval: str = "H1") -> str:
    where = f"(listing, interval, start) = ({CANDLE.format(interval)})"
    return f"UPDATE candles SET {assignment} WHERE {where}"


def listing(assignment: str) -> str:
    return f"UPDATE listings SET {assignment} WHERE id = ({LISTING})"


def coin(assignment: str) -> str:
    return f"UPDATE normalized_records SET {assignment} WHERE ticker = ({COIN})"


def run_row(assignment: str) -> str:
    return f"UPDATE etl_runs SET {assignment} WHERE id = ({RUN})"


CHANGES = [
    Change("price of a point", point("price_usd = price_usd * 1.001"), "points.values",
           "price_usd", "full"),
    Change("cap of a point", point("market_cap_usd = NULL"), "points.values",
           "market_cap_usd", "full"),
    Change("volume of a point", point("volume_24h_usd = volume_24h_usd + 1"), "points.values",
           "volume_24h_usd", "full"),
    Change("time of a point", point("at = at + interval '1 second'"), "points.values", "point",
           "full"),
    Change("held flag set", point("is_held = true"), "points.held", "is_held", "full"),
    Change("held flag of a jump", "UPDATE price_points SET is_held = false WHERE is_held",
           "points.held", "is_held", "full"),
    Change("point removed", f"DELETE FROM price_points WHERE (listing, at) = ({MIDDLE})",
           "points.values", "point", "full"),
    Change("point added",
           "INSERT INTO price_points (listing, at, fetched_at, price_usd)"
           " SELECT listing, at + interval '7 seconds', now(), 1 FROM (" + MIDDLE + ") AS m",
           "points.values", "point", "full"),
    Change("points of nothing", "INSERT INTO price_points (listing, at) VALUES (999999, now())",
           "history.owners", "listing 999999"),
    Change("high of a candle", candle("high = high * 2"), "candles", "high", "full"),
    Change("low of a candle", candle("low = low / 2", "D1"), "candles", "low", "full"),
    Change("end of a candle", candle("close_at = close_at + interval '1 second'"), "candles",
           "close_at", "full"),
    Change("samples of a day", candle("samples = samples + 1", "D1"), "candles", "samples", "full"),
    Change("candle removed",
           f"DELETE FROM candles WHERE (listing, interval, start) = ({CANDLE.format('H1')})",
           "candles", "candle", "full"),
    Change("candle added",
           "INSERT INTO candles SELECT start - interval '2 hours', open_at, close_at, listing,"
           " samples, interval, open, high, low, close FROM candles"
           f" WHERE (listing, interval, start) = ({CANDLE.format('H1')})"
           .replace("open_at, close_at", "start - interval '2 hours', close_at"),
           "candles", "candle", "full"),
    Change("payload's value",
           "UPDATE raw_api_records SET payload = jsonb_set(payload, '{quotes,USD,price}', '77.7')"
           f" WHERE (source, external_id, content_hash) = ({NEWEST})",
           "listings.values", "price_usd"),
    Change("a byte of a body",
           "UPDATE bodies SET content = set_byte(content, length(content) / 2, 255 -"
           f" get_byte(content, length(content) / 2)) WHERE id = ({BODY})",
           "payloads", "body"),
    Change("hash of a body", f"UPDATE bodies SET sha256 = sha256(sha256) WHERE id = ({BODY})",
           "payloads", "SHA-256"),
    Change("index of a body",
           f"UPDATE bodies SET record_count = record_count + 1 WHERE id = ({BODY})",
           "payloads", "names"),
    Change("body removed", f"DELETE FROM bodies WHERE id = ({BODY})", "points.values", "point"),
    Change("body of another poll",
           "UPDATE bodies AS b SET content = o.content, frames = o.frames, size = o.size,"
           " sha256 = o.sha256 FROM bodies AS o WHERE b.source = o.source AND b.id < o.id"
           f" AND b.id = ({BODY})", "payloads", "", ""),
    Change("place of a listing", listing("body_offset = body_offset + 1"), "payloads", "bytes at",
           ""),
    Change("payload unreadable",
           "UPDATE raw_api_records SET payload = payload - 'symbol'"
           f" WHERE (source, external_id, content_hash) = ({NEWEST})",
           "payloads", "symbol"),
    Change("payload removed",
           f"DELETE FROM raw_api_records WHERE (source, external_id, content_hash) = ({NEWEST})",
           "payloads", "hash"),
    Change("listing removed", f"DELETE FROM listings WHERE id = ({LISTING})", "payloads",
           "listing", ""),
    Change("price of a listing", listing("price_usd = price_usd * 1.2"), "listings.values",
           "price_usd", "reprocess"),
    Change("name of a listing", listing("name = 'Other'"), "listings.values", "name", "reprocess"),
    Change("earlier observations", listing("before = '{}'"), "listings.values", "before[1]",
           "reprocess"),
    Change("own time", listing("has_own_time = NOT has_own_time"), "listings.values",
           "has_own_time", "reprocess"),
    Change("contributes flag", listing("contributes = false"), "coins.contributes", "contributes",
           "reprocess"),
    Change("asset of a listing", listing("asset = 'coinpaprika:none'"), "assets.listings", "asset",
           "reprocess"),
    Change("asset that does not exist", coin("asset = 'coinpaprika:none'"), "assets.keys", "ETH",
           "reprocess"),
    Change("price of a coin", coin("price_usd_exact = price_usd_exact * 2"), "coins.merge",
           "price_usd", "reprocess"),
    Change("name of a coin", coin("name = 'Other'"), "coins.merge", "name", "reprocess"),
    Change("owner of a coin",
           coin("asset = (SELECT source || ':' || external_id FROM listings LIMIT 1)"),
           "coins.merge", "asset", "reprocess"),
    Change("provenance", coin("provenance = '[]'"), "coins.merge", "provenance", "reprocess"),
    Change("confidence", coin("confidence = 0.1"), "coins.merge", "confidence", "reprocess"),
    Change("rivals", coin("rival_count = rival_count + 1"), "coins.merge", "rival_count",
           "reprocess"),
    Change("spread", coin("price_spread_percent = 55"), "coins.merge", "price_spread_percent",
           "reprocess"),
    Change("excluded", coin("excluded = '[]'"), "coins.merge", "excluded", "reprocess"),
    Change("staleness", coin("stale_at = stale_at + interval '1 day'"), "coins.merge", "stale_at",
           "settings"),
    Change("coin removed", f"DELETE FROM normalized_records WHERE ticker = ({COIN})",
           "coins.merge", "coin", "reprocess"),
    Change("bridge added", "INSERT INTO ticker_bridges VALUES ('gnothing', 'ETH')",
           "assets.bridges", "gnothing", "reprocess"),
    Change("address group", "UPDATE address_groups SET address_group = 'x' WHERE source = 'csv'",
           "assets.groups", "address group"),
    Change("page of a source",
           "UPDATE source_pages SET external_ids = external_ids[2:] WHERE source = 'coinpaprika'",
           "listings.pages", "active", "run"),
    Change("counter of a run", run_row("changed = changed + 1, processed = processed + 1"),
           "runs.payloads", "changed"),
    Change("counter beside its event", run_row("processed = processed + 1, failed = failed + 1"),
           "events.runs", "processed"),
    Change("rejected record removed",
           "DELETE FROM rejected_records WHERE id = (SELECT min(id) FROM rejected_records)",
           "runs.rejections", "failed"),
    Change("source of a rejected record", "UPDATE rejected_records SET source = 'csv'",
           "runs.rejection_sources", "source"),
    Change("number of notes", run_row("note_count = note_count + 3"), "runs.notes", "note_count"),
    Change("failures of a source", "UPDATE sources SET consecutive_failures = 2",
           "sources.failures", "consecutive_failures", "run"),
    Change("checkpoint ahead",
           "UPDATE etl_checkpoints SET updated_at = now() + interval '1 hour'",
           "checkpoints", "updated_at", "run"),
    Change("checkpoint of no record", "UPDATE etl_checkpoints SET last_id = 'none'",
           "checkpoints", "last_id", "run"),
    Change("event of coins removed",
           "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events"
           " WHERE kind = 'coins_changed')",
           "events.coins", "coins_changed"),
    Change("earlier event of coins removed",
           "DELETE FROM events WHERE seq = (SELECT seq FROM events"
           " WHERE kind = 'coins_changed' ORDER BY seq OFFSET 1 LIMIT 1)",
           "events.gaps", "the coins of the page"),
    Change("event of a start removed",
           "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events"
           " WHERE kind = 'run_started')",
           "events.runs", "run_started"),
    Change("event of a page removed",
           "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events"
           " WHERE kind = 'run_progress')",
           "events.runs", "pages"),
    Change("event of an end removed",
           "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events"
           " WHERE kind = 'run_finished')",
           "events.runs", "run_finished"),
    Change("sequence of events", "SELECT setval('events_seq_seq', 1)", "storage.sequences",
           "events_seq_seq"),
    Change("sequence of listings", "SELECT setval('listing_ids', 1)", "storage.sequences",
           "listing_ids"),
    Change("partition missing",
           "DO $$ BEGIN EXECUTE 'DROP TABLE ' || (SELECT max(relname) FROM pg_class"
           " WHERE relname ~ '^bodies_\\d+$'); END $$",
           "storage.partitions", "bodies_", "partitions"),
    Change("old partition kept",
           "SELECT create_partition('price_points', 'price_points_20240101',"
           " '2024-01-01', '2024-01-08')",
           "storage.partitions", "price_points_20240101", "partitions"),
    Change("point outside its partition",
           "CREATE TABLE aside AS SELECT * FROM price_points;"
           "DO $$ BEGIN EXECUTE 'DROP TABLE ' || (SELECT tableoid::regclass FROM price_points"
           " ORDER BY at DESC LIMIT 1); END $$;"
           "INSERT INTO price_points SELECT * FROM aside ON CONFLICT DO NOTHING",
           "storage.partitions", "price_points_default"),
    Change("body past its retention",
           "INSERT INTO bodies (id, arrived_at, fetched_at, run_id, same_as, size, page_number,"
           " record_count, source, page_group, form, url, headers, sha256, records, content,"
           " frames) SELECT 0, arrived_at - interval '200 days', fetched_at, run_id, same_as, size,"
           " page_number, record_count, source, page_group, form, url, headers, sha256, records,"
           f" content, frames FROM bodies WHERE id = ({BODY})",
           "storage.expired", "default partition", "partitions"),
]  # fmt: skip
