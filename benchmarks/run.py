"""Every benchmark, one after another, at sizes that end within about five minutes on two cores. Each can be run alone with other sizes."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = (
    ("libs/sip/benchmarks/message_steps.py",),
    ("services/media/benchmarks/journal.py",),
    ("services/cdr/benchmarks/ledger.py",),
    ("benchmarks/media/relay.py", "--calls", "500", "1000"),
    ("benchmarks/directory.py", "--users", "2000", "--csv", "1000"),
    ("benchmarks/calls.py", "--rates", "50,100,200"),
)


def main() -> int:
    failed = []
    for path, *options in BENCHMARKS:
        print(f"\n== {path} {' '.join(options)}", flush=True)
        try:
            done = subprocess.run([sys.executable, str(ROOT / path), *options], cwd=ROOT, timeout=300, check=False)
        except subprocess.TimeoutExpired:
            failed.append(path)
            continue
        if done.returncode != 0:
            failed.append(path)
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
