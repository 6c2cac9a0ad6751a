"""An answer about several documents in its parts, one of which can be made again by itself."""

import json
from collections.abc import Sequence

from node.verification.material import json_of


def parts_of(answer: str, names: Sequence[str]) -> dict[str, str]:
    """By document, what the answer says of it: a JSON list in their order, or an object by their names; else {}."""
    value = json_of(answer)
    if isinstance(value, list) and len(value) == len(names):
        return {name: _text(one) for name, one in zip(names, value, strict=True)}
    if isinstance(value, dict) and value.keys() == set(names):
        return {name: _text(value[name]) for name in names}
    return {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
