"""The rule of identity and merging in plain Python: slow, readable, separate from the SQL.

It is the text of the design's section 5, with what `docs/ARCHITECTURE.md` adds. A ticker's listings
go in, the coin comes out.
"""

import datetime
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext

HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)
GENERIC = frozenset(
    {"token", "coin", "network", "protocol", "dao", "finance", "chain", "hub", "the", "old"}
)
PRIORITY = {"coinpaprika": 10, "coingecko": 20, "csv": 30}


@dataclass(frozen=True)
class Said:
    """What one source says of one asset."""

    source: str
    external_id: str
    ticker: str
    name_words: str
    name: str | None
    rank: int | None
    price: Decimal | None
    cap: Decimal | None
    volume: Decimal | None
    percent: Decimal | None
    observed_at: datetime.datetime
    has_own_time: bool = True
    active: bool = True
    label: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.source, self.external_id

    @property
    def priority(self) -> tuple[int, str]:
        return PRIORITY[self.source], self.source


@dataclass
class Coin:
    """The merged record; `contributing` are the keys of the owner's listings."""

    ticker: str
    values: dict[str, object]
    source: str
    created_at: datetime.datetime
    spread: object  # a float or None; the stored one is compared approximately
    rivals: int
    provenance: dict[str, tuple[str, str, datetime.datetime]]
    contributing: set[tuple[str, str]] = field(default_factory=set)


def tier(a: Said, b: Said) -> int | None:
    """How well the names say that two listings are one asset: 0 best, None not at all."""
    if a.label and b.label:
        return 0 if a.label == b.label else None
    words_a, words_b = a.name_words.split(), b.name_words.split()
    if not words_a or not words_b:
        return None
    if "".join(words_a) == "".join(words_b):
        return 1
    if "".join(core(words_a)) == "".join(core(words_b)):
        return 2
    short, long = sorted((words_a, words_b), key=len)
    return 3 if long[: len(short)] == short else None


def core(words: list[str]) -> list[str]:
    return [word for word in words if word not in GENERIC] or words


def near(a: Said, b: Said) -> bool:
    """Observed within an hour, prices within 3 %, known caps within a factor of two."""
    if a.label and b.label and a.label != b.label:
        return False
    if a.price is None or b.price is None or abs(a.observed_at - b.observed_at) > HOUR:
        return False
    if max(a.price, b.price) > Decimal("1.03") * min(a.price, b.price):
        return False
    return a.cap is None or b.cap is None or max(a.cap, b.cap) <= 2 * min(a.cap, b.cap)


def distance(a: Said, b: Said) -> tuple[object, ...]:
    """Nearest cap first, pairs with an unknown cap last; then the nearest price."""
    first, second = sorted((a, b), key=lambda said: said.source)
    assert a.price is not None
    assert b.price is not None
    caps = ratio(a.cap, b.cap) if a.cap is not None and b.cap is not None else None
    return caps is None, caps or 0, ratio(a.price, b.price), first.external_id, second.external_id


def ratio(a: Decimal, b: Decimal) -> Decimal:
    with localcontext(prec=60):
        return (max(a, b) / min(a, b)).quantize(Decimal("1e-12"), ROUND_HALF_UP)


def links(listings: list[Said]) -> list[tuple[Said, Said]]:
    found: list[tuple[Said, Said]] = []
    for source_a, source_b in itertools.combinations(sorted({said.source for said in listings}), 2):
        left = [said for said in listings if said.source == source_a]
        right = [said for said in listings if said.source == source_b]
        tiers = {(a, b): t for a in left for b in right if (t := tier(a, b)) is not None}
        best: dict[Said, int] = {}
        for (a, b), t in tiers.items():
            best[a] = min(t, best.get(a, t))
            best[b] = min(t, best.get(b, t))
        named = [(a, b) for (a, b), t in tiers.items() if t == best[a] == best[b]]
        linked = {said for pair in named for said in pair}
        open_pairs = [
            (a, b)
            for a in left
            for b in right
            if a not in linked and b not in linked and near(a, b)
        ]
        for a, b in open_pairs:
            rivals = [distance(x, y) for x, y in open_pairs if x is a or y is b]
            if distance(a, b) == min(rivals):
                found.append((a, b))
        found += named
    return found


def assets(listings: list[Said]) -> list[list[Said]]:
    """Unite what is linked; different labels part again, the first takes those without."""
    group = {said: {said} for said in listings}
    for a, b in links(listings):
        united = group[a] | group[b]
        for said in united:
            group[said] = united
    parted: dict[tuple[int, str], list[Said]] = {}
    for said in listings:
        labels = sorted(other.label for other in group[said] if other.label)
        parted.setdefault((id(group[said]), said.label or (labels or [""])[0]), []).append(said)
    return list(parted.values())


def speakers(asset: list[Said]) -> list[Said]:
    """The best listing of each source; an inactive one only where none is active."""
    heard = [said for said in asset if said.active] or asset
    best = []
    for _, group in itertools.groupby(
        sorted(heard, key=lambda said: said.source), key=lambda said: said.source
    ):
        best.append(min(group, key=_goodness))
    return best


def _goodness(said: Said) -> tuple[object, ...]:
    weight = (
        said.cap if said.cap is not None else said.volume * 10 if said.volume is not None else None
    )
    return (
        weight is None,
        -(weight or 0),
        said.rank is None,
        said.rank or 0,
        -said.observed_at.timestamp(),
        said.external_id,
    )


def newest_of(voices: Iterable[Said]) -> datetime.datetime:
    """The newest observation; one that a file dates only where none says its own time."""
    voices = list(voices)
    own = [said.observed_at for said in voices if said.has_own_time]
    return max(own or [said.observed_at for said in voices])


def asset_cap(voices: list[Said]) -> Decimal | None:
    newest = newest_of(voices)
    fresh = [
        said.cap for said in voices if said.cap is not None and said.observed_at >= newest - DAY
    ]
    known = [said.cap for said in voices if said.cap is not None]
    volumes = [said.volume for said in voices if said.volume is not None]
    if fresh:
        return max(fresh)
    if known:
        return max(known)
    return max(volumes) * 10 if volumes else None


def merge(listings: Iterable[Said]) -> Coin | None:
    """Merge the listings of one ticker."""
    said = sorted(listings, key=lambda one: (one.priority, one.external_id))
    if not said:
        return None
    every = [(asset, speakers(asset)) for asset in assets(said)]
    active = any(one.active for one in said)
    ticker_newest = newest_of(
        voice
        for asset, voices in every
        if any(one.active for one in asset) == active
        for voice in voices
    )

    def claim(entry: tuple[list[Said], list[Said]]) -> tuple[object, ...]:
        asset, voices = entry
        cap = asset_cap(voices)
        ranks = [voice.rank for voice in voices if voice.rank is not None]
        gives_way = newest_of(voices) < ticker_newest - DAY
        return (
            not any(one.active for one in asset),
            gives_way,
            cap is None,
            -(cap or 0),
            -len(voices),
            not ranks,
            min(ranks, default=0),
            min(voice.external_id for voice in voices),
            min((one.priority, one.external_id) for one in asset),
        )

    asset, voices = min(every, key=claim)
    by_time = sorted(
        voices,
        key=lambda voice: (not voice.has_own_time, -voice.observed_at.timestamp(), voice.priority),
    )
    by_priority = sorted(voices, key=lambda voice: voice.priority)
    values: dict[str, object] = {}
    provenance = {}
    for name, attribute, order in (
        ("name", "name", by_priority),
        ("rank", "rank", by_priority),
        ("price_usd", "price", by_time),
        ("market_cap_usd", "cap", by_time),
        ("volume_24h_usd", "volume", by_time),
        ("percent_change_24h", "percent", by_time),
    ):
        giver = next((voice for voice in order if getattr(voice, attribute) is not None), None)
        values[name] = getattr(giver, attribute) if giver else None
        if giver:
            provenance[name] = (giver.source, giver.external_id, giver.observed_at)
    speaks = next((voice for voice in by_time if voice.price is not None), by_time[0])
    return Coin(
        ticker=said[0].ticker,
        values=values,
        source=speaks.source,
        created_at=speaks.observed_at,
        spread=spread(voices),
        rivals=len(said) - len(asset),
        provenance=provenance,
        contributing={one.key for one in asset},
    )


def spread(voices: list[Said]) -> float | None:
    newest = newest_of(voices)
    prices = sorted(
        voice.price
        for voice in voices
        if voice.price is not None and voice.observed_at >= newest - HOUR
    )
    if len(prices) < 2:
        return None
    middle = len(prices) // 2
    median = prices[middle] if len(prices) % 2 else (prices[middle - 1] + prices[middle]) / 2
    return float((prices[-1] - prices[0]) / median * 100)


def rounded(price: Decimal | None) -> Decimal | None:
    """To 8 decimal places, half to even."""
    with localcontext(prec=200):
        return None if price is None else price.quantize(Decimal("1e-8"), ROUND_HALF_EVEN)
