"""Address groups: which listing keys are one token, from their active addresses alone.

Two keys that share an address are one token. A source that lists a bridged token apart from the
original says that they differ: a group never holds two keys of one source that do not share an
address, nor two keys whose addresses on a common chain all differ, unless they share one elsewhere.
Where these rules forbid a link, the links with more evidence win.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import combinations

from common.chains import TokenAddress
from db.write.identity.addresses import AddressGroup, Key

MAX_CLAIMS = 50
"""An address that more keys claim is a placeholder and links nothing."""
_COPIES = frozenset(
    (
        *("bridged", "bridge", "wrapped", "wormhole", "peg", "pegged", "staked", "old", "legacy"),
        *("axelar", "multichain", "celer", "anyswap", "portal", "allbridge"),
    )
)
"""Words of an external id that tell a copy of a token from the token."""
_WORDS = re.compile(r"[^\W_]+")


class _Graph:
    """The keys by address, and the addresses and chains by key."""

    def __init__(self, addresses: Iterable[tuple[Key, TokenAddress]]) -> None:
        self.of: defaultdict[Key, set[TokenAddress]] = defaultdict(set)
        claims: defaultdict[TokenAddress, set[Key]] = defaultdict(set)
        for key, address in addresses:
            self.of[key].add(address)
            claims[address].add(key)
        self.claims = {
            address: sorted(keys) for address, keys in claims.items() if len(keys) <= MAX_CLAIMS
        }
        self.chains = {
            key: frozenset(address.chain for address in addresses)
            for key, addresses in self.of.items()
        }

    def links(self) -> list[tuple[Key, Key]]:
        """Return the pairs of keys that share an address, those with the most evidence first."""
        shared: defaultdict[tuple[Key, Key], int] = defaultdict(int)
        for keys in self.claims.values():
            for pair in combinations(keys, 2):
                shared[pair] += 1
        return sorted(shared, key=lambda pair: (-shared[pair], -_likeness(*pair), pair))

    def compatible(self, a: Key, b: Key) -> bool:
        """Return whether two keys may be in one group."""
        if not self.of[a].isdisjoint(self.of[b]):
            return True
        return a[0] != b[0] and self.chains[a].isdisjoint(self.chains[b])


def _likeness(a: Key, b: Key) -> int:
    """Return how many words two external ids share, less two for each word of a copy in one."""
    first, second = _words(a[1]), _words(b[1])
    return len(first & second) - 2 * len((first ^ second) & _COPIES)


def _words(external_id: str) -> frozenset[str]:
    return frozenset(_WORDS.findall(external_id.lower()))


def group_addresses(addresses: Iterable[tuple[Key, TokenAddress]]) -> dict[Key, AddressGroup]:
    """Return the group of each key that has an active address.

    The result depends on the set of addresses only, and each connected part of it on that part.
    """
    graph = _Graph(addresses)
    members = {key: [key] for key in graph.of}
    for a, b in graph.links():
        into, other = members[a], members[b]
        if into is other or not all(graph.compatible(x, y) for x in into for y in other):
            continue
        into += other
        members.update(dict.fromkeys(other, into))
    names = _names(graph, members)
    return {
        key: AddressGroup(names[id(group)], tuple(sorted(graph.chains[key])))
        for key, group in members.items()
    }


def _names(graph: _Graph, members: Mapping[Key, list[Key]]) -> dict[int, str]:
    """Return the name of each group, by the identity of its list of members.

    It is the smallest address of the group; of groups with one smallest address, whose link was
    refused, all but the first have their smallest key beside it.
    """
    groups = {id(group): group for group in members.values()}
    smallest = {
        number: str(min(min(graph.of[key]) for key in group)) for number, group in groups.items()
    }
    names: dict[int, str] = {}
    taken: set[str] = set()
    for number in sorted(groups, key=lambda number: min(groups[number])):
        name = smallest[number]
        if name in taken:
            name = f"{name} {':'.join(min(groups[number]))}"
        taken.add(name)
        names[number] = name
    return names
