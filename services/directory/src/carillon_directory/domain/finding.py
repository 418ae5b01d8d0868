"""Something odd about a resource that may be saved all the same, or why one is refused: a kind of which there are sentences."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Finding:
    """`kind`: a table of `findings/*.toml`; `node`: of a plan; `path`: dotted, in the resource; `values`: what the sentence says it of."""

    kind: str
    node: str
    path: str
    values: Mapping[str, str] = field(default_factory=dict)
