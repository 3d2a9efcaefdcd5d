"""What the documents name exists: files, links, and anchors."""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
    + [*(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.md"), ROOT / "data/README.md"]
)
FOLDERS = "bench|common|data|db|docs|ingestor|kasparro|server|tests|web"
NAMED = re.compile(rf"`((?:{FOLDERS})/[^`\s]*?)(?:::\w+)?`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
BUILT = ("server/static/",)
PLACEHOLDER = re.compile(r"NAME|NNNN")
WAYS = ("Where does a coin's price come from?", "What happens to a POST /graphql?")


def prose(path: Path) -> str:
    """Return a document without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """Return the anchors that a host of Markdown makes of a document's headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", prose(path), flags=re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        kept = (c for c in text if c in "-_ " or unicodedata.category(c)[0] in "LN")
        found.add("".join(kept).replace(" ", "-"))
    return found


def links(path: Path) -> Iterator[str]:
    for match in LINK.finditer(prose(path)):
        target = match[1] or match[2]
        if not re.match(r"[a-z]+:", target):
            yield target


def missing(name: str) -> bool:
    return not any(ROOT.glob(name.rstrip("/")))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_document_names_exists(path: Path) -> None:
    named = {
        name
        for name in NAMED.findall(prose(path))
        if not name.startswith(BUILT) and not PLACEHOLDER.search(name)
    }
    assert sorted(name for name in named if missing(name)) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading_that_exist(path: Path) -> None:
    broken = []
    for target in links(path):
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if (
            not file.is_relative_to(ROOT)
            or not file.exists()
            or (anchor and anchor not in anchors(file))
        ):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("way", WAYS)
def test_a_way_is_a_list_of_files(way: str) -> None:
    text = prose(ROOT / "docs/ARCHITECTURE.md").partition(f"### {way}\n")[2].partition("\n#")[0]
    steps = re.findall(r"^(\d+)\. `([^`]+)`: ", text, flags=re.MULTILINE)
    assert [int(number) for number, _ in steps] == list(range(1, len(steps) + 1))
    assert len(steps) >= 10
    assert all((ROOT / name).is_file() for _, name in steps)
    assert len(re.findall(r"^\d+\. ", text, flags=re.MULTILINE)) == len(steps)


def test_every_decision_is_in_the_index_once() -> None:
    folder = ROOT / "docs/decisions"
    pages = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert sorted(links(folder / "README.md")) == pages
    assert [int(name[:4]) for name in pages] == list(range(1, len(pages) + 1))
    for name in pages:
        text = (folder / name).read_text("utf-8")
        assert text.startswith(f"# {name[:4]}. "), name
        parts = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
        assert parts == ["Context", "Decision", "Consequences"], name


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_document_names_a_place_on_one_machine(path: Path) -> None:
    assert not re.search(r"(?<![\w/])/(work|home|root)/", path.read_text("utf-8"))
