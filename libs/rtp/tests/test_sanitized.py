"""The C core under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer, fed with commands and datagrams at random;
and with the fuzzer's first inputs and changes of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sanitize-memory", "sanitize-threads"])
def test_the_core_is_clean_under_sanitizers(target: str) -> None:
    run_target(target)


def test_the_fuzzers_inputs_and_changes_of_them_are_taken() -> None:
    """Among them what was found before: a report weeks after the far end's last one."""
    run_target("fuzz-short", "ROUNDS=100")


def run_target(target: str, *variables: str) -> None:
    if not shutil.which("make") or not shutil.which("cc"):
        pytest.skip("make and a C compiler are needed")
    seed = int.from_bytes(os.urandom(4), "big") | 1
    run = subprocess.run(["make", "-C", HERE, target, f"SEED={seed}", *variables], capture_output=True, text=True, timeout=110, check=False)
    assert run.returncode == 0, f"seed {seed}\n{run.stdout}\n{run.stderr}"
