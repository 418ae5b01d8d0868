"""What fuzzing once found, tried again: tests/torture/findings/TARGET-what.dat, by the check of that name."""

from pathlib import Path

import pytest

from carillon_sip.testing import invariants

FINDINGS = sorted((Path(__file__).parent.parent / "torture" / "findings").glob("*.dat"))


def test_the_findings_are_here() -> None:
    assert FINDINGS


@pytest.mark.parametrize("finding", FINDINGS, ids=[path.stem for path in FINDINGS])
def test_a_finding_stays_fixed(finding: Path) -> None:
    getattr(invariants, finding.stem.partition("-")[0])(finding.read_bytes())
