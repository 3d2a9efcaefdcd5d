"""`python -m tests.structure` prints the measures that `test_structure.py` holds to bounds."""

import ast
import collections
import statistics
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("common", "db", "ingestor", "server", "kasparro")
FLOORS = {"common": 0, "db": 1, "ingestor": 2, "server": 2, "kasparro": 3}
LONG_FILES = frozenset({"db/write/merge.py"})
"""Files that may be longer: one statement is their text."""


def modules() -> dict[str, ast.Module]:
    """Return the syntax tree of each module of the product, by its path below the root."""
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8"))
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def siblings() -> dict[str, int]:
    """Return how many modules and packages each folder of the product holds."""
    counts = collections.Counter[str]()
    for package in PACKAGES:
        for folder in [ROOT / package, *(ROOT / package).rglob("*")]:
            if folder.is_dir() and (folder / "__init__.py").exists():
                names = [
                    entry
                    for entry in folder.iterdir()
                    if entry.suffix in {".py", ".sql"} or _is_package(entry)
                ]
                counts[str(folder.relative_to(ROOT))] = len(names)
    return dict(counts)


def _is_package(entry: Path) -> bool:
    return entry.is_dir() and entry.name != "__pycache__" and any(entry.rglob("*.py"))


def collisions(trees: dict[str, ast.Module]) -> dict[str, list[str]]:
    """Return the names that several classes have, without leading underscores, with their files."""
    places = collections.defaultdict[str, list[str]](list)
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name.lstrip("_")].append(path)
    return {name: paths for name, paths in sorted(places.items()) if len(paths) > 1}


def function_lengths(trees: dict[str, ast.Module]) -> dict[str, int]:
    """Return the lines of each function without its docstring, by `path:name:line`."""
    lengths = {}
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if ast.get_docstring(node) is not None:
                    first = node.body[0]
                    lines -= (first.end_lineno or 0) - first.lineno + 1
                lengths[f"{path}:{node.name}:{node.lineno}"] = lines
    return lengths


def file_lengths() -> dict[str, int]:
    """Return the lines of each module of the product."""
    return {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in modules()}


def imports(trees: dict[str, ast.Module]) -> dict[str, set[str]]:
    """Return the modules of the product that each module imports, by their dotted names."""
    names = {_dotted(path): path for path in trees}
    return {
        module: {found for found in _imported(trees[path], set(names)) if found != module}
        for module, path in names.items()
    }


def _dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _imported(tree: ast.Module, known: set[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in known:
                    yield full
                elif node.module in known:
                    yield node.module


def upward(graph: dict[str, set[str]]) -> list[str]:
    """Return the imports from a floor to a higher one."""
    return [
        f"{module} -> {imported}"
        for module, found in sorted(graph.items())
        for imported in sorted(found)
        if FLOORS[module.split(".")[0]] < FLOORS[imported.split(".")[0]]
    ]


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected components: groups of modules that import in a circle."""
    order: list[str] = []
    seen: set[str] = set()
    for module in sorted(graph):
        _visit(module, graph, seen, order)
    reverse = collections.defaultdict[str, set[str]](set)
    for module, found in graph.items():
        for imported in found:
            reverse[imported].add(module)
    groups: list[list[str]] = []
    taken: set[str] = set()
    for module in reversed(order):
        if module not in taken:
            group: list[str] = []
            _visit(module, reverse, taken, group)
            if len(group) > 1:
                groups.append(sorted(group))
    return groups


def _visit(start: str, graph: dict[str, set[str]], seen: set[str], order: list[str]) -> None:
    """Add the modules that `start` reaches to `order`, each after those that it reaches itself."""
    if start in seen:
        return
    seen.add(start)
    stack = [(start, iter(sorted(graph.get(start, ()))))]
    while stack:
        module, rest = stack[-1]
        following = next((found for found in rest if found not in seen), None)
        if following is None:
            order.append(module)
            stack.pop()
        else:
            seen.add(following)
            stack.append((following, iter(sorted(graph.get(following, ())))))


def main() -> None:
    """Print every measure."""
    trees = modules()
    lengths = function_lengths(trees)
    graph = imports(trees)
    counts = siblings()
    widest = sorted(counts, key=lambda folder: counts[folder], reverse=True)[:5]
    print("siblings:", ", ".join(f"{folder} {counts[folder]}" for folder in widest))  # noqa: T201 - a command
    print("upward imports:", len(upward(graph)))  # noqa: T201 - a command
    print("circles:", circles(graph))  # noqa: T201 - a command
    print("class names that collide:", collisions(trees))  # noqa: T201 - a command
    print("lines a function, p95:", statistics.quantiles(lengths.values(), n=20)[-1])  # noqa: T201 - a command
    print("longest functions:", sorted(((n, f) for f, n in lengths.items()), reverse=True)[:5])  # noqa: T201
    print("longest files:", sorted(((n, f) for f, n in file_lengths().items()), reverse=True)[:8])  # noqa: T201


if __name__ == "__main__":
    main()
