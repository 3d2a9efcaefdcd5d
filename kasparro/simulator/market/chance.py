"""Seeded chance without state: equal inputs give equal results on every machine."""

from typing import Final

_MASK: Final = (1 << 64) - 1
_CONSONANTS: Final = "bcdfghjklmnprstvwxyz"
_VOWELS: Final = "aeiou"
_SHORTEST: Final = 3
_LONGEST: Final = 12
_STRIDE: Final = 7919
"""A prime that does not divide the number of words of one length: steps visit each word once."""


def draw(seed: int, *salt: int) -> int:
    """Return 64 mixed bits of these numbers (SplitMix64; Steele, Lea and Flood 2014)."""
    state = seed
    for part in salt:
        state = ((state ^ part) + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ state >> 27) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state


def happens(chance: int, times: int, of: int = 100) -> bool:
    """Return whether this chance is one of `times` in `of`."""
    return chance % of < times


def word(seed: int, number: int) -> str:
    """Return a pronounceable lower-case word, at least three letters, different for each number."""
    letters, size = _SHORTEST, _count_of_words(_SHORTEST)
    while number >= size:
        number -= size
        letters += 1
        size = _count_of_words(letters)
    number = (number * _STRIDE + seed) % size
    spelled = []
    for place in range(letters):
        alphabet = _VOWELS if place % 2 else _CONSONANTS
        number, letter = divmod(number, len(alphabet))
        spelled.append(alphabet[letter])
    return "".join(spelled)


def number_of(seed: int, spelled: str) -> int | None:
    """Return the number of this word, None for any other text."""
    if len(spelled) > _LONGEST:
        return None
    size, value = _count_of_words(len(spelled)), 0
    for place, letter in reversed(list(enumerate(spelled))):
        alphabet = _VOWELS if place % 2 else _CONSONANTS
        if letter not in alphabet:
            return None
        value = value * len(alphabet) + alphabet.index(letter)
    shorter = sum(_count_of_words(letters) for letters in range(_SHORTEST, len(spelled)))
    return shorter + (value - seed) * pow(_STRIDE, -1, size) % size


def _count_of_words(letters: int) -> int:
    vowels = letters // 2
    return int(len(_VOWELS) ** vowels * len(_CONSONANTS) ** (letters - vowels))
