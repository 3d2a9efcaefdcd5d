"""Address groups hold what shares an address, and never what one source lists apart."""

import random
from collections import defaultdict
from itertools import combinations, product

from hypothesis import example, given
from hypothesis import strategies as st

from common.chains import TokenAddress
from db.write.identity.addresses import Key
from ingestor.registry.groups import group_addresses

Claim = tuple[Key, TokenAddress]
WORDS = ("usd", "coin", "bridged", "wrapped", "old")
KEYS = st.tuples(
    st.sampled_from(["coingecko", "coinpaprika", "csv"]),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=2).map("-".join),
)
ADDRESSES = st.builds(
    TokenAddress, st.sampled_from(["bsc", "ethereum", "sui"]), st.sampled_from("12345")
)
CLAIMS = st.lists(st.tuples(KEYS, ADDRESSES), max_size=25)


def partition(claims: list[Claim]) -> set[frozenset[Key]]:
    sets: defaultdict[str, set[Key]] = defaultdict(set)
    for key, group in group_addresses(claims).items():
        sets[group.address_group].add(key)
    return set(map(frozenset, sets.values()))


def fits(claims: list[Claim], a: Key, b: Key) -> bool:
    """Return whether two keys may be in one group, as the rule words it."""
    first = {address for key, address in claims if key == a}
    second = {address for key, address in claims if key == b}
    if first & second:
        return True
    if a[0] == b[0]:
        return False
    return not {chain for chain, _ in first} & {chain for chain, _ in second}


def naive(claims: list[Claim]) -> set[frozenset[Key]]:
    """Return the groups: the strongest link first, each group a plain set."""
    of = {key: {address for owner, address in claims if owner == key} for key, _ in claims}

    def strength(a: Key, b: Key) -> tuple[int, int, tuple[Key, Key]]:
        first, second = set(a[1].split("-")), set(b[1].split("-"))
        copies = {"bridged", "wrapped", "old"}
        likeness = len(first & second) - 2 * len((first ^ second) & copies)
        return -len(of[a] & of[b]), -likeness, (a, b)

    groups = [{key} for key in of]
    links = [(a, b) for a, b in combinations(sorted(of), 2) if of[a] & of[b]]
    for a, b in sorted(links, key=lambda link: strength(*link)):
        first = next(group for group in groups if a in group)
        second = next(group for group in groups if b in group)
        if first is not second and all(fits(claims, x, y) for x, y in product(first, second)):
            groups = [group for group in groups if group is not first and group is not second]
            groups.append(first | second)
    return set(map(frozenset, groups))


def claim(source: str, external_id: str, *addresses: str) -> list[Claim]:
    tokens = (TokenAddress(*address.split(":")) for address in addresses)
    return [((source, external_id), token) for token in tokens]


@given(CLAIMS)
@example(
    [
        *claim("coingecko", "usd-coin", "ethereum:1"),
        *claim("coinpaprika", "usd", "ethereum:1", "bsc:2"),
        *claim("coingecko", "bridged-usd", "bsc:2"),
    ]
)
def test_groups_are_those_of_the_plain_rule(claims: list[Claim]) -> None:
    assert partition(claims) == naive(claims)


@given(CLAIMS, st.randoms())
def test_the_order_and_repetition_of_addresses_do_not_matter(
    claims: list[Claim], chance: random.Random
) -> None:
    shuffled = claims + claims[::2]
    chance.shuffle(shuffled)
    assert group_addresses(shuffled) == group_addresses(claims)


@given(CLAIMS)
def test_a_group_holds_only_keys_that_fit_and_no_link_is_left_out_without_a_reason(
    claims: list[Claim],
) -> None:
    groups = partition(claims)
    for group in groups:
        assert all(fits(claims, a, b) for a, b in combinations(group, 2))
    owned = set(claims)
    for first, second in combinations(groups, 2):
        linked = any((a, address) in owned for b, address in owned if b in second for a in first)
        assert not linked or not all(fits(claims, a, b) for a, b in product(first, second))


@given(CLAIMS)
def test_each_key_has_a_group_named_after_an_address_of_it_and_its_own_chains(
    claims: list[Claim],
) -> None:
    groups = group_addresses(claims)
    assert groups.keys() == {key for key, _ in claims}
    for key, group in groups.items():
        assert group.chains == tuple(sorted({a.chain for owner, a in claims if owner == key}))
        smallest = min(
            address
            for owner, address in claims
            if groups[owner].address_group == group.address_group
        )
        assert group.address_group.split(" ")[0] == str(smallest)


def test_a_bridged_token_stays_apart_where_one_source_lists_it_apart() -> None:
    claims = [
        *claim("coingecko", "usd-coin", "ethereum:1"),
        *claim("coingecko", "bridged-usd-coin", "polygon:2"),
        *claim("coinpaprika", "usdc-usd-coin", "ethereum:1", "polygon:2"),
    ]
    assert partition(claims) == {
        frozenset({("coingecko", "usd-coin"), ("coinpaprika", "usdc-usd-coin")}),
        frozenset({("coingecko", "bridged-usd-coin")}),
    }


def test_an_equal_address_wins_over_a_different_one() -> None:
    claims = [
        *claim("coingecko", "a", "ethereum:1", "bsc:2"),
        *claim("coinpaprika", "b", "ethereum:1", "bsc:3"),
    ]
    assert len(partition(claims)) == 1


def test_a_placeholder_that_all_claim_links_nothing() -> None:
    claims = [c for n in range(51) for c in claim("csv", f"coin-{n}", "ethereum:1")]
    groups = group_addresses(claims)
    assert len({group.address_group for group in groups.values()}) == 51
    assert len(partition(claims[:50])) == 1
