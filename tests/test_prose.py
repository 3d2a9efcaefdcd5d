"""Prose keeps to plain technical English: `tests/prose.py` says which words and lengths."""

import statistics
from pathlib import Path

import pytest

from tests.prose import (
    DOCUMENTS,
    MAX_SENTENCE_WORDS,
    PRODUCT,
    ROOT,
    files,
    findings,
    raises_without_doc,
    sentence_lengths,
)

CODE = [path for path in files([*PRODUCT]) if path.suffix == ".py"]
PAGES = [path for path in files([*DOCUMENTS]) if path.suffix == ".md"]


@pytest.mark.parametrize("path", [*CODE, *PAGES], ids=lambda path: str(path.relative_to(ROOT)))
def test_the_words_are_those_of_the_trade(path: Path) -> None:
    assert list(findings(path)) == []


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_public_function_that_raises_says_so(path: Path) -> None:
    assert list(raises_without_doc(path)) == []


def test_sentences_of_the_documents_are_short() -> None:
    lengths = [length for path in PAGES for length in sentence_lengths(path)]
    assert statistics.mean(lengths) <= MAX_SENTENCE_WORDS


def test_the_measures_find_what_they_look_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.prose.ROOT", tmp_path)
    code = tmp_path / "code.py"
    code.write_text(
        'def load():\n    """Build it anew."""\n    raise ValueError\n', encoding="utf-8"
    )
    assert list(findings(code)) == ["code.py:2: 'anew': again, or from the start"]
    assert list(raises_without_doc(code)) == ["code.py:1: load raises ValueError"]
    page = tmp_path / "page.md"
    page.write_text("# Title of many words\n\nOne two three. Four five.\n", encoding="utf-8")
    assert sentence_lengths(page) == [3, 2]
