"""Generate the gRPC code of `proto/` into `libs/contracts/src/carillon`; `--check` only says whether it is up to date."""

import argparse
import filecmp
import shutil
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
TARGET = ROOT / "libs/contracts/src/carillon"


def generate(into: Path) -> None:
    """Run protoc once for every file; `into` becomes the parent of the `carillon` namespace package."""
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    arguments = [
        "protoc",
        f"--proto_path={PROTO}",
        f"--proto_path={files('grpc_tools') / '_proto'}",
        f"--python_out={into}",
        f"--grpc_python_out={into}",
        f"--mypy_out=quiet:{into}",
        f"--mypy_grpc_out=quiet:{into}",
        *sources,
    ]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc failed; see above")


def same(left: Path, right: Path) -> bool:
    """Whether both trees hold the same files with the same content."""
    names = [sorted(str(p.relative_to(tree)) for p in tree.rglob("*.py*") if "__pycache__" not in p.parts) for tree in (left, right)]
    return names[0] == names[1] and all(filecmp.cmp(left / name, right / name, shallow=False) for name in names[0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if the committed code is out of date")
    check: bool = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = Path(folder) / "carillon"
        if check:
            if same(fresh, TARGET):
                return 0
            sys.stderr.write("libs/contracts/src/carillon is out of date: run `make proto`\n")
            return 1
        shutil.rmtree(TARGET, ignore_errors=True)
        shutil.copytree(fresh, TARGET)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
