"""Refuse clocks, randomness, sockets and asyncio in pure code: `domain`, `libs/sip`, the published contracts."""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PURE = (
    "services/*/src/*/domain",
    "libs/sip/src/carillon_sip",
    "libs/contracts/src/carillon_contracts",
    "cli/src/carillon_cli/supervisor/policy.py",
)
BANNED_MODULES = {
    "asyncio",
    "socket",
    "random",
    "secrets",
    "threading",
    "subprocess",
    "time",
    "asyncpg",
    "nats",
    "grpc",
    "structlog",
    "logging",
}
BANNED_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "uuid7", "urandom", "open", "print", "perf_counter", "monotonic"}
#: What ships for tests may be random: it is seeded.
TESTING = ROOT / "libs/sip/src/carillon_sip/testing"


def complaints(path: Path) -> list[str]:
    """One line per banned import or call in the file."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module.split(".")[0]]
        found += [f"imports {name}" for name in names if name in BANNED_MODULES]
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in BANNED_CALLS:
                found.append(f"calls {called}()")
        found = [text if ":" in text else f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}: {text} in pure code" for text in found]
    return found


def main() -> int:
    found: list[str] = []
    for pattern in PURE:
        for place in ROOT.glob(pattern):
            for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
                if TESTING not in path.parents:
                    found += complaints(path)
    sys.stderr.write("".join(f"{line}\n" for line in found))
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
