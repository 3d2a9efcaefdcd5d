"""The rule of identity, belief and merging in plain Python: slow, readable, separate from the SQL.

`docs/IDENTITY.md` states the rule. The listings of some tickers go in, their coins come out.
"""

import datetime
import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext

HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)
GENERIC = frozenset(
    {"token", "coin", "network", "protocol", "dao", "finance", "chain", "hub", "the"}
)
COPIES = frozenset(
    {"bridged", "wormhole", "pegged", "peg", "old", "deprecated", "iou", "wrapped", "staked"}
)
PRIORITY = {"coinpaprika": 10, "coingecko": 20, "csv": 30}
FILES = frozenset({"csv"})
CEILING = Decimal("1e13")
VOLUMES = 1_000_000
UNKNOWN_SIZE = Decimal(50_000)
STANDING = 1_000_000
AGREE = Decimal("1.01")
CONFIRM = Decimal("1.1")
FAR = 3
FAR_IN_TIME = 1000
GREATER_CAP = 10
SAME_CAP = Decimal("1.1")
SAME_CAP_PRICE = Decimal("1.25")


@dataclass(frozen=True)
class Before:
    """An earlier observation of a listing."""

    at: datetime.datetime
    price: Decimal | None
    cap: Decimal | None
    volume: Decimal | None


@dataclass(frozen=True)
class Said:
    """What one source says of one asset, and its two observations before."""

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
    pinned: bool = False
    banned: bool = False
    first_seen: datetime.datetime = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    group: str | None = None
    chains: frozenset[str] = frozenset()
    before: tuple[Before, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        return self.source, self.external_id

    @property
    def id(self) -> str:
        return f"{self.source}:{self.external_id}"

    @property
    def priority(self) -> tuple[int, str]:
        return PRIORITY[self.source], self.source

    @property
    def lot(self) -> str:
        """An order that says nothing: the last resort, which prefers no letter."""
        return hashlib.md5(self.id.encode(), usedforsecurity=False).hexdigest()


@dataclass
class Coin:
    """The merged record; `contributing` are the keys of the owner's listings."""

    ticker: str
    asset: str
    values: dict[str, object]
    source: str
    created_at: datetime.datetime
    spread: object  # a float or None; the stored one is compared approximately
    rivals: int
    provenance: dict[str, tuple[str, str, datetime.datetime]]
    excluded: set[tuple[str, str, str, Decimal, str, datetime.datetime]]
    confidence: Decimal
    is_suspect: bool
    contributing: set[tuple[str, str]] = field(default_factory=set)


# Belief in one listing's values


def near(a: Decimal, b: Decimal, bound: Decimal | float) -> bool:
    return max(a, b) <= Decimal(str(bound)) * min(a, b)


def bound(gap: datetime.timedelta) -> Decimal:
    """How far a value may move in this time."""
    if gap <= DAY:
        return Decimal("1.5") if gap <= HOUR else Decimal(3)
    return Decimal(10 if gap <= 30 * DAY else FAR_IN_TIME)


def jumps(
    value: Decimal | None,
    at: datetime.datetime,
    before: list[tuple[datetime.datetime, Decimal | None]],
) -> bool:
    known = [(then, old) for then, old in before if old is not None]
    if value is None or not known:
        return False
    return not any(near(value, old, bound(at - then)) for then, old in known)


def is_held(said: Said) -> bool:
    """Its price is far from each of its earlier ones: one poll is not enough to believe it."""
    return jumps(said.price, said.observed_at, [(one.at, one.price) for one in said.before])


def last_price(said: Said) -> Before:
    return next(one for one in said.before if one.price is not None)


def steady(said: Said) -> tuple[Decimal | None, datetime.datetime]:
    """The price that a listing has by its own series, and its time."""
    if is_held(said):
        return last_price(said).price, last_price(said).at
    return said.price, said.observed_at


def is_impossible(cap: Decimal | None) -> bool:
    return cap is not None and cap > CEILING


def cap_jumps(said: Said) -> bool:
    return jumps(said.cap, said.observed_at, [(one.at, one.cap) for one in said.before])


def counted_cap(cap: Decimal | None, volume: Decimal | None) -> Decimal | None:
    """A cap as far as it is believable."""
    if cap is None or is_impossible(cap):
        return None
    return cap if volume is None else min(cap, max(volume * VOLUMES, UNKNOWN_SIZE))


def own_cap(said: Said) -> Decimal | None:
    """The middle of the last three."""
    caps = [
        counted_cap(said.cap, said.volume),
        *[counted_cap(one.cap, one.volume) for one in said.before],
    ]
    return middle([cap for cap in caps if cap is not None])


def middle(values: Sequence[Decimal]) -> Decimal | None:
    """The median; the smaller one of two."""
    return sorted(values)[(len(values) - 1) // 2] if values else None


# Links


def tier(a: Said, b: Said) -> int | None:
    """How well the names say that two listings are one asset: 1 best, None not at all."""
    words_a, words_b = a.name_words.split(), b.name_words.split()
    if not words_a or not words_b:
        return None
    if "".join(words_a) == "".join(words_b):
        return 1
    if "".join(core(words_a)) == "".join(core(words_b)):
        return 2
    short, long = sorted((words_a, words_b), key=len)
    return 3 if long[: len(short)] == short and is_copy(a) == is_copy(b) else None


def core(words: list[str]) -> list[str]:
    return [word for word in words if word not in GENERIC] or words


def is_copy(said: Said) -> bool:
    """A bridged, wrapped or outdated form of another asset; WBTC may be wrapped."""
    words = set(said.name_words.split())
    marks = words & COPIES
    if said.ticker.startswith("W"):
        marks -= {"wrapped"}
    if said.ticker.startswith("S") or "ST" in said.ticker:
        marks -= {"staked"}
    return bool(marks) and not words <= COPIES


def contradict(a: Said, b: Said) -> bool:
    """Their labels differ, or their addresses on one chain."""
    if a.label and b.label:
        return a.label != b.label
    return a.group != b.group and bool(a.chains & b.chains)


def proven(a: Said, b: Said) -> bool:
    if a.label and b.label:
        return a.label == b.label
    return a.group is not None and a.group == b.group


def in_price(a: Said, b: Said) -> bool:
    """Observed within an hour; either prices and known caps are near, or the caps are very near."""
    (price_a, at_a), (price_b, at_b) = steady(a), steady(b)
    if price_a is None or price_b is None or abs(at_a - at_b) > HOUR or is_copy(a) != is_copy(b):
        return False
    if a.cap is not None and b.cap is not None and near(a.cap, b.cap, SAME_CAP):
        return near(price_a, price_b, SAME_CAP_PRICE)
    return near(price_a, price_b, 1.03) and (
        a.cap is None or b.cap is None or near(a.cap, b.cap, 2)
    )


def is_far(a: Said, b: Said) -> bool:
    (price_a, at_a), (price_b, at_b) = steady(a), steady(b)
    if price_a is None or price_b is None:
        return False
    return not near(price_a, price_b, FAR if abs(at_a - at_b) <= DAY else FAR_IN_TIME)


def grade(a: Said, b: Said) -> int | None:
    """The order of candidates: names, then prices, then names whose prices lie far apart."""
    if contradict(a, b):
        return None
    named = tier(a, b)
    if named is not None:
        return named + 10 * is_far(a, b)
    return 4 if in_price(a, b) else None


def distance(a: Said, b: Said) -> tuple[object, ...]:
    """Nearest cap first, unknown ones last; then the nearest price."""
    first, second = sorted((a, b), key=lambda said: said.source)
    caps = ratio(a.cap, b.cap) if a.cap is not None and b.cap is not None else None
    price_a, price_b = steady(a)[0], steady(b)[0]
    prices = ratio(price_a, price_b) if price_a is not None and price_b is not None else None
    return caps is None, caps or 0, prices is None, prices or 0, first.lot, second.lot


def ratio(a: Decimal, b: Decimal) -> Decimal:
    with localcontext(prec=60):
        return (max(a, b) / min(a, b)).quantize(Decimal("1e-12"), ROUND_HALF_UP)


def links(listings: list[Said]) -> list[tuple[Said, Said]]:
    """What an address or a label proves, and each one's best candidate where that is mutual."""
    found = [(a, b) for a, b in itertools.combinations(listings, 2) if proven(a, b)]
    for ticker in {said.ticker for said in listings}:
        those = [said for said in listings if said.ticker == ticker]
        for one, other in itertools.combinations(sorted({said.source for said in those}), 2):
            found += mutual(
                [said for said in those if said.source == one],
                [said for said in those if said.source == other],
            )
    agreed = {said for pair in found if agrees(*pair) for said in pair}
    return [(a, b) for a, b in found if agrees(a, b) or not {a, b} & agreed]


def agrees(a: Said, b: Said) -> bool:
    """A link that prices do not speak against."""
    named = grade(a, b)
    return proven(a, b) or (named is not None and named < 10)


def mutual(left: list[Said], right: list[Said]) -> list[tuple[Said, Said]]:
    """The pairs of two sources under one ticker that are each other's best candidate."""
    every = [(a, b) for a in left for b in right]
    settled = {said for pair in every if proven(*pair) for said in pair}
    graded = {
        (a, b): (grade(a, b), *distance(a, b))
        for a, b in every
        if a not in settled and b not in settled and grade(a, b) is not None
    }
    return [
        (a, b)
        for (a, b), order in graded.items()
        if order == min(o for (x, y), o in graded.items() if x is a or y is b)
    ]


def assets(listings: list[Said]) -> list[list[Said]]:
    """Unite what is linked; where members contradict each other, labels and addresses part them."""
    group = {said: {said} for said in listings}
    pairs = links(listings)
    for a, b in pairs:
        united = group[a] | group[b]
        for said in united:
            group[said] = united
    parted: dict[tuple[int, str], list[Said]] = {}
    for said in listings:
        members = group[said]
        if any(contradict(a, b) for a, b in itertools.combinations(members, 2)):
            anchor = anchor_of(said, members, pairs)
        else:
            anchor = ""
        parted.setdefault((id(members), anchor), []).append(said)
    return [asset for part in parted.values() for asset in one_of_each_source(part, group, pairs)]


def one_of_each_source(
    part: list[Said], group: dict[Said, set[Said]], pairs: list[tuple[Said, Said]]
) -> list[list[Said]]:
    """Part the listings of one source that no proof joins; the best linked one stays."""

    def strength(said: Said) -> tuple[int, str]:
        grades = [0 if proven(*pair) else grade(*pair) or 0 for pair in pairs if said in pair]
        return min(grades, default=0), said.lot

    kept: list[Said] = []
    surplus: list[Said] = []
    for _, several in itertools.groupby(sorted(part, key=lambda s: s.source), lambda s: s.source):
        first, *others = sorted(several, key=strength)
        kept.append(first)
        for said in others:
            own = mark(said, group[said])
            same = own is not None and own == mark(first, group[first])
            (kept if same else surplus).append(said)
    return [kept, *([said] for said in surplus)]


def mark(said: Said, members: set[Said]) -> str | None:
    """A label, its own or that of the same token, or a token by its addresses."""
    if said.label:
        return f"l{said.label}"
    if not said.group:
        return None
    labels = [one.label for one in members if one.group == said.group and one.label]
    return f"l{min(labels)}" if labels else f"g{said.group}"


def anchor_of(said: Said, members: set[Said], pairs: list[tuple[Said, Said]]) -> str:
    """Its own mark, or that of its best direct link, else the least of all."""
    own = mark(said, members)
    if own:
        return own
    beside = [b if a is said else a for a, b in pairs if a is said or b is said]
    marked = [one for one in beside if mark(one, members)]
    if marked:
        best = min(marked, key=lambda one: (grade(said, one) or 0, *distance(said, one)))
        return mark(best, members) or ""
    return min(one for member in members if (one := mark(member, members)))


# Evidence


def speakers(asset: list[Said]) -> list[Said]:
    """The best listing of each source; an inactive one only where none is active."""
    heard = [said for said in asset if said.active] or asset
    by_source = itertools.groupby(
        sorted(heard, key=lambda said: said.source), key=lambda said: said.source
    )
    return [min(group, key=_goodness) for _, group in by_source]


def _goodness(said: Said) -> tuple[object, ...]:
    cap = own_cap(said)
    weight = cap if cap is not None else said.volume
    return (
        said.price is None,
        weight is None,
        -(weight or 0),
        said.rank is None,
        said.rank or 0,
        -said.observed_at.timestamp(),
        said.lot,
    )


def newest_of(voices: Iterable[Said]) -> datetime.datetime:
    """The newest observation; one that a file dates only where none says its own time."""
    voices = list(voices)
    own = [said.observed_at for said in voices if said.has_own_time]
    return max(own or [said.observed_at for said in voices])


def size_of(voices: list[Said]) -> Decimal | None:
    """What an asset is worth: its cap, or a bound from below, or a guess by its rank."""
    newest = newest_of(voices)
    caps = [(own_cap(said), said.observed_at >= newest - DAY) for said in voices]
    cap = middle([cap for cap, fresh in caps if cap is not None and fresh])
    if cap is None:
        cap = middle([cap for cap, _ in caps if cap is not None])
    if cap is None:
        volumes = [said.volume for said in voices if said.volume is not None]
        cap = middle([volume for volume in volumes if volume <= CEILING])
    if cap is None:
        ranks = [said.rank for said in voices if said.rank is not None]
        cap = Decimal(10**12 // min(ranks) ** 2) if ranks else None
    return cap


@dataclass
class Claim:
    """An asset that wants a ticker, and the evidence."""

    listings: list[Said]
    voices: list[Said]
    active: bool
    score: Decimal
    has_standing: bool

    @property
    def is_priced(self) -> bool:
        return any(said.price is not None for said in self.voices)

    @property
    def is_pinned(self) -> bool:
        return any(said.pinned for said in self.listings)

    @property
    def order(self) -> tuple[object, ...]:
        ranks = [voice.rank for voice in self.voices if voice.rank is not None]
        return (
            not self.is_pinned,
            not self.active,
            not self.is_priced,
            not self.has_standing,
            -self.score,
            -len(self.voices),
            not ranks,
            min(ranks, default=0),
            min(said.first_seen for said in self.listings),
            not any(said.group for said in self.listings),
            min(said.lot for said in self.listings),
        )


def claims(ticker: str, every: list[list[Said]]) -> list[Claim]:
    """The claims on a ticker, the best first."""
    mine = [(asset, speakers(asset)) for asset in every if any(s.ticker == ticker for s in asset)]

    def is_active(asset: list[Said]) -> bool:
        return any(said.active for said in asset if said.ticker == ticker)

    newest = {
        active: newest_of(voice for asset, voices in mine if is_active(asset) == active
                          for voice in voices)
        for active in {is_active(asset) for asset, _ in mine}
    }  # fmt: skip
    found = []
    for asset, voices in mine:
        copy = all(is_copy(voice) for voice in voices)
        priced = [voice for voice in voices if voice.price is not None]
        month = newest_of(voices) - 30 * DAY
        witnesses = sum(voice.observed_at >= month for voice in priced)
        size = size_of(voices)
        score = UNKNOWN_SIZE if size is None else size * 10 ** max(0, witnesses - 1)
        if newest_of(voices) < newest[is_active(asset)] - DAY:
            score /= 1000
        if copy:
            score /= 1_000_000
        long_seen = any(len(v.before) == 2 and v.source not in FILES for v in priced)
        is_large = size is not None and size >= STANDING
        has_standing = is_large and not copy and (witnesses > 1 or long_seen)
        found.append(Claim(asset, voices, is_active(asset), score, has_standing))
    return sorted(found, key=lambda claim: claim.order)


def is_contested(ranked: list[Claim]) -> bool:
    """Whether the second claim is nearly as good as the first."""
    if len(ranked) < 2 or ranked[0].is_pinned:
        return False
    first, second = ranked[:2]
    same = (first.active, first.is_priced, first.has_standing) == (
        second.active, second.is_priced, second.has_standing,
    )  # fmt: skip
    return same and second.score * 10 >= first.score


# Values


@dataclass
class Voice:
    """What a source adds to a coin: its newest observation, or the one before it."""

    said: Said
    at: datetime.datetime
    price: Decimal | None
    cap: Decimal | None
    cap_at: datetime.datetime
    volume: Decimal | None
    percent: Decimal | None
    is_held: bool
    is_excluded: bool = False
    has_far_cap: bool = False


def voice_of(said: Said, voices: list[Said]) -> Voice:
    confirmed = any(
        other is not said
        and said.price is not None
        and other.price is not None
        and abs(other.observed_at - said.observed_at) <= HOUR
        and near(other.price, said.price, CONFIRM)
        for other in voices
    )
    if is_held(said) and not confirmed:
        old = last_price(said)
        cap = None if is_impossible(old.cap) else old.cap
        return Voice(said, old.at, old.price, cap, old.at, old.volume, None, is_held=True)
    cap, cap_at = said.cap, said.observed_at
    if is_impossible(cap) or (cap_jumps(said) and not confirmed_cap(said, voices)):
        old_cap = next(
            (o for o in said.before if o.cap is not None and not is_impossible(o.cap)), None
        )
        cap, cap_at = (old_cap.cap, old_cap.at) if old_cap else (None, cap_at)
    return Voice(
        said, said.observed_at, said.price, cap, cap_at, said.volume, said.percent, is_held=False
    )


def confirmed_cap(said: Said, voices: list[Said]) -> bool:
    """Another source's cap says the same, within a factor of two."""
    return any(
        other is not said and said.cap is not None and other.cap is not None
        and abs(other.observed_at - said.observed_at) <= HOUR and near(other.cap, said.cap, 2)
        for other in voices
    )  # fmt: skip


def by_time(voice: Voice) -> tuple[object, ...]:
    return not voice.said.has_own_time, -voice.at.timestamp(), voice.said.priority


def exclude(voices: list[Voice], newest: datetime.datetime) -> list[Voice]:
    """Mark the fresh voices whose price the others contradict; return the fresh ones."""
    fresh = [v for v in voices if v.price is not None and v.at >= newest - HOUR]
    cap = middle([v.cap for v in fresh if v.cap is not None])
    for voice in fresh:
        voice.has_far_cap = bool(voice.cap and cap and voice.cap > GREATER_CAP * cap)
    prices = [v.price for v in fresh if v.price is not None]
    if len(fresh) < 2 or near(max(prices), min(prices), AGREE):
        return fresh
    if len(fresh) > 2:
        median = middle(prices)
        assert median is not None
        for voice in fresh:
            assert voice.price is not None
            voice.is_excluded = not near(voice.price, median, AGREE)
        return fresh
    believed = [o for v in fresh if (o := first_known(v.said)) is not None]

    def moved(voice: Voice) -> Decimal:
        assert voice.price is not None
        return max(AGREE, min((ratio(voice.price, old) for old in believed), default=AGREE))

    # Without a past the newest speaks; with one the price that it leads to, then the source.
    best = min(
        fresh,
        key=(lambda v: (moved(v), v.said.priority)) if believed else by_time,
    )
    for voice in fresh:
        voice.is_excluded = voice is not best
    return fresh


def first_known(said: Said) -> Decimal | None:
    return next((one.price for one in said.before if one.price is not None), None)


def refused(voices: list[Voice]) -> set[tuple[str, str, str, Decimal, str, datetime.datetime]]:
    """The values that the coin leaves out, and why."""
    found = set()
    for voice in voices:
        said = voice.said

        def add(field: str, value: Decimal | None, reason: str, said: Said = said) -> None:
            assert value is not None
            found.add((said.source, said.external_id, field, value, reason, said.observed_at))

        if voice.is_held:
            add("price_usd", said.price, "jump")
        elif voice.is_excluded:
            add("price_usd", said.price, "disagrees")
        if voice.is_held or voice.is_excluded:
            continue
        if is_impossible(said.cap):
            add("market_cap_usd", said.cap, "impossible")
        elif said.cap is not None and voice.cap != said.cap:
            add("market_cap_usd", said.cap, "jump")
        elif voice.has_far_cap:
            add("market_cap_usd", said.cap, "disagrees")
    return found


def merge(ticker: str, every: list[list[Said]]) -> Coin | None:
    """Merge the coin of one ticker; `every` are the assets that claim it, and others."""
    ranked = claims(ticker, every)
    if not ranked:
        return None
    owner = ranked[0]
    newest = newest_of(owner.voices)
    voices = sorted((voice_of(said, owner.voices) for said in owner.voices), key=by_time)
    fresh = exclude(voices, newest)
    by_priority = sorted(voices, key=lambda voice: voice.said.priority)
    heard = [voice for voice in voices if not voice.is_excluded]
    values: dict[str, object] = {}
    provenance = {}
    for name, attribute, order in (
        ("name", "name", by_priority),
        ("rank", "rank", by_priority),
        ("price_usd", "price", heard),
        ("market_cap_usd", "cap", [voice for voice in heard if not voice.has_far_cap]),
        ("volume_24h_usd", "volume", heard),
        ("percent_change_24h", "percent", heard),
    ):
        for voice in order:
            said = voice.said
            value = getattr(said if attribute in ("name", "rank") else voice, attribute)
            if value is not None:
                at = {"cap": voice.cap_at, "name": said.observed_at, "rank": said.observed_at}
                values[name] = value
                provenance[name] = (said.source, said.external_id, at.get(attribute, voice.at))
                break
        else:
            values[name] = None
    speaks = next((voice for voice in heard if voice.price is not None), heard[0])
    witnesses = [v for v in fresh if not v.is_excluded and not v.is_held]
    doubted = any(v.is_excluded or v.is_held for v in voices)
    is_suspect = doubted and len(witnesses) < 2
    listings = [said for asset in every for said in asset if said.ticker == ticker]
    return Coin(
        ticker=ticker,
        asset=head(owner.listings).id,
        values=values,
        source=speaks.said.source,
        created_at=speaks.at,
        spread=spread(fresh),
        rivals=len(listings) - sum(said.ticker == ticker for said in owner.listings),
        provenance=provenance,
        excluded=refused(voices),
        confidence=confidence(
            witnesses,
            owner,
            has_price=values["price_usd"] is not None,
            is_suspect=is_suspect,
            contested=is_contested(ranked),
        ),
        is_suspect=is_suspect,
        contributing={said.key for said in owner.listings if said.ticker == ticker},
    )


def head(asset: list[Said]) -> Said:
    """The listing that names the asset."""
    return min(asset, key=lambda said: (not said.active, said.priority, said.first_seen, said.lot))


def confidence(
    witnesses: list[Voice], owner: Claim, *, has_price: bool, is_suspect: bool, contested: bool
) -> Decimal:
    """From 0 to 1: each witness halves the doubt; an address is one more."""
    if not has_price:
        return Decimal(0)
    count = max(1, len(witnesses)) + any(said.group for said in owner.listings)
    value = 1 - Decimal("0.5") ** count
    if is_suspect:
        value /= 2
    if contested:
        value /= 2
    return value


def spread(fresh: list[Voice]) -> float | None:
    prices = sorted(voice.price for voice in fresh if voice.price is not None)
    if len(prices) < 2:
        return None
    half = len(prices) // 2
    median = prices[half] if len(prices) % 2 else (prices[half - 1] + prices[half]) / 2
    return float((prices[-1] - prices[0]) / median * 100)


def coins(listings: Iterable[Said]) -> dict[str, Coin]:
    """Merge all tickers."""
    said = [one for one in listings if not one.banned]
    every = assets(said)
    tickers = {one.ticker for one in said}
    return {ticker: coin for ticker in tickers if (coin := merge(ticker, every))}


def rounded(price: Decimal | None) -> Decimal | None:
    """To 8 decimal places, half to even."""
    with localcontext(prec=200):
        return None if price is None else price.quantize(Decimal("1e-8"), ROUND_HALF_EVEN)
