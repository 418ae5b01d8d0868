"""Why a plan is refused, recognised by its words: its kind, and what is said of it, so that it can be told in any language.

Always: what is not recognised is `refused`, with the reason as it was given.
"""

import re
from collections.abc import Mapping

from carillon_directory.domain.finding import Finding
from carillon_directory.domain.outcomes import Violation

#: The words of `graphs`, `checks`, `texts`, the shapes of the contracts, and of pydantic where a shape is broken.
KINDS: Mapping[str, str] = {
    "no_node": r"the plan has no node '(?P<node>.*)'",
    "out_of_reach": r"node '(?P<node>.*)' cannot be reached from the entry '(?P<entry>.*)'",
    "counts_when_rung": r"counts only for a user or an external number(?:; give a ring group or a menu its own node)?",
    "loop": r"loop without a wait: (?P<way>.*)",
    "no_number": r"(?P<number>\S+) is not a number of this tenant",
    "no_resource": r"no (?P<kind>[a-z_]+) '(?P<id>.*)'",
    "node_twice": r"nodes: each id may stand once",
    "not_one_kind": r"exactly one of (?P<kinds>.*) must be set, not (?P<found>.*)",
    "nobody_matches": r"at least one of (?P<fields>numbers, prefixes, .*)",
    "no_limit": r"max_calls or max_starts must be given",
    "half_a_rate": r"max_starts and per_seconds belong together",
    "not_a_hundred": r"shares: make (?P<percent>\d+) percent, must be 100",
    "built_in": r"(?:name|variable): (?P<variable>\w+) cannot be set",
    "value_or_source": r"value and source: only one of them",
    "not_http": r"url: belongs to kind http",
    "silent": r"text or audio_id must be set",
    "missing": r"Field required",
    "unknown_field": r"Extra inputs are not permitted",
    "too_small": r"Input should be greater than (?:or equal to )?(?P<least>\S+)",
    "too_large": r"Input should be less than (?:or equal to )?(?P<most>\S+)",
    "too_short": r"(?:String|Tuple|List) should have at least (?P<least>\d+) .*",
    "too_long": r"(?:String|Tuple|List) should have at most (?P<most>\d+) .*",
    "longer": r"is longer than (?P<most>\d+) characters",
    "control": r"holds control characters",
    "odd_text": r"String should match pattern '(?P<pattern>.*)'",
    "not_among": r"Input should be (?P<values>'.*')",
}
_PATTERNS = [(kind, re.compile(pattern, re.DOTALL)) for kind, pattern in KINDS.items()]


def refused(violation: Violation) -> Finding:
    """As a finding; `node` of it is left to who knows the plan."""
    for kind, pattern in _PATTERNS:
        if (found := pattern.fullmatch(violation.reason)) is not None:
            return Finding(f"refused_{kind}", "", violation.field, found.groupdict())
    return Finding("refused", "", violation.field, {"reason": violation.reason})
