"""`python -m tests.prose [PATH …]` prints what the rules for prose find in code and documents."""

import ast
import io
import re
import statistics
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("bench", "common", "db", "ingestor", "kasparro", "server", "web/*/src")
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs")
BANNED = {
    r"\banew\b": "again, or from the start",
    r"\bat (its|their|his) word\b": "believed, or accepted",
    r"\b(is|are|was|were) no (?!longer|more|less|fewer)[a-z]": "is not a …, or has no …",
    r"\bin the midst\b": "during, or in the middle of",
    r"\bnobody\b(?![\"'])": "say which program or user",
    r"\bsomebody\b": "say which program or user",
    r"\btold\b": "reported, shown, or passed",
    r"\buntold\b": "not reported",
    r"\bwhoever\b": "the program, client or user that",
    r"\bword of (it|them|what|that)\b": "notice, or event",
    r"\bhow (it|they|each|he) fares?\b|\bfares?\b": "state, or health",
    r"\b(shall|thereby|whereby|hence|lest|thereof|wherein)\b": "use plain words",
    r"\bknows? of no\b": "does not know",
}
"""Patterns of a private dialect, each with what to write instead."""
MAX_COLUMNS = 100
MAX_SENTENCE_WORDS = 16
"""On average over all documents."""


def files(paths: list[str]) -> list[Path]:
    """Return the files below `paths` that are under version control or new."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *paths]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted(ROOT / name for name in set(names.splitlines()) if (ROOT / name).is_file())


def prose_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line number and text of all prose: documents, comments, and strings of code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from enumerate(text.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in {tokenize.COMMENT, tokenize.STRING} or token.type == getattr(
            tokenize, "FSTRING_MIDDLE", -1
        ):
            for offset, line in enumerate(token.string.splitlines()):
                yield token.start[0] + offset, line


def findings(path: Path) -> Iterator[str]:
    """Yield what is wrong in a file, as `path:line: pattern, and what to write instead`."""
    name = path.relative_to(ROOT)
    for number, text in prose_of(path):
        for pattern, instead in BANNED.items():
            if found := re.search(pattern, text, re.IGNORECASE):
                yield f"{name}:{number}: {found.group()!r}: {instead}"
    if path.suffix == ".md":
        fenced = False
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            fenced ^= line.lstrip().startswith("```")
            if (
                len(line) > MAX_COLUMNS
                and not fenced
                and not line.lstrip().startswith(("|", "[", "!", "<"))
            ):
                yield f"{name}:{number}: {len(line)} columns, at most {MAX_COLUMNS}"


def sentence_lengths(path: Path) -> list[int]:
    """Return the words of each sentence of a document, without tables, code and headings."""
    text = re.sub(r"```.*?```", "\n\n", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL)
    lengths = []
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", text):
        if re.match(r"\s*(#|\||<|!\[|\[!)", block):
            continue
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"`[^`]*`", "x", block))
        for sentence in re.split(r"(?<=[.!?])\s+", " ".join(plain.split())):
            words = re.findall(r"[A-Za-z0-9][\w'’/-]*", sentence)
            if words:
                lengths.append(len(words))
    return lengths


def raises_without_doc(path: Path) -> Iterator[str]:
    """Yield public functions whose body raises an error and whose docstring does not say so."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith(
            "_"
        ):
            continue
        doc = ast.get_docstring(node)
        raised = {
            name
            for inner in ast.walk(node)
            if isinstance(inner, ast.Raise) and (name := _raised(inner))
        }
        if doc is not None and raised and "aise" not in doc:
            place = f"{path.relative_to(ROOT)}:{node.lineno}"
            yield f"{place}: {node.name} raises {', '.join(sorted(raised))}"


def _raised(node: ast.Raise) -> str | None:
    error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    if (
        isinstance(error, ast.Name)
        and error.id[0].isupper()
        and error.id not in {"StopAsyncIteration", "Exit"}
    ):
        return error.id
    return None


def main() -> None:
    """Print every finding below the paths of the command line, and the length of sentences."""
    paths = sys.argv[1:] or [*PRODUCT, *DOCUMENTS]
    lengths: list[int] = []
    for path in files(paths):
        if path.suffix in {".py", ".md", ".ts", ".tsx"}:
            for finding in findings(path):
                print(finding)  # noqa: T201 - a command
        if path.suffix == ".py":
            for finding in raises_without_doc(path):
                print(finding)  # noqa: T201 - a command
        if path.suffix == ".md":
            lengths += sentence_lengths(path)
    if lengths:
        print(f"words a sentence: {statistics.mean(lengths):.1f}")  # noqa: T201 - a command


if __name__ == "__main__":
    main()
