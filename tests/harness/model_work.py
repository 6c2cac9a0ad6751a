"""What the tests' endpoint can do beside summaries: a report with quotes and figures, and grading what others wrote.

Both are real and deterministic. The grader works in another way than the writer: it looks whether what an answer says
can be found in the task's own text, and so misses what a reader would see, as any judge does.
"""

import json
import re
from typing import Any

from node.execute.builtin.document_analysis.text import sentences

AMOUNT = re.compile(r"\d[\d,]*")
MARKED = re.compile(
    r"^<<(?P<name>TASK|ANSWER) (?P<nonce>\w+)>>\n(?P<data>.*)\n<<END (?P=name) (?P=nonce)>>$", re.MULTILINE
)
ORDER = re.compile(r"score[^0-9]{0,20}(\d{1,3})", re.IGNORECASE)
GRADING = "You grade the work of somebody else."
MOST_AMOUNTS = 4
RUN = 5
"""Words that must follow each other in both: single ones stand in any text of a kind."""
REPORT_SCHEMA = {
    "type": "object",
    "properties": {
        "summary": {"type": "string", "minLength": 40},
        "quotes": {"type": "array", "items": {"type": "string", "minLength": 20}, "minItems": 2, "maxItems": 4},
        "words": {"type": "integer", "minimum": 1},
        "total": {"type": "string", "minLength": 5},
    },
    "required": ["summary", "quotes", "words", "total"],
    "additionalProperties": False,
}


def report(text: str, summary: str, quotes: int = 2) -> str:
    """A text's summary, the longest of its sentences word for word, its length in words, and its first sums added."""
    found = sorted(sentences(text), key=lambda one: (-len(one), one))[:quotes]
    amounts = [int(amount.replace(",", "")) for amount in AMOUNT.findall(text)[:MOST_AMOUNTS]] or [0]
    total = (
        f"{' + '.join(map(str, amounts))} = {sum(amounts)}" if len(amounts) > 1 else f"{amounts[0]} + 0 = {amounts[0]}"
    )
    return json.dumps({"summary": summary, "quotes": found, "words": len(text.split()), "total": total})


def is_grading(asked: dict[str, Any]) -> bool:
    """Whether a chat is a judge's."""
    return str(asked["messages"][0]["content"]).startswith(GRADING)


def graded(asked: dict[str, Any], *, obeys: bool) -> str:
    """A grade of the ANSWER by the TASK. `obeys`: as a judge does that does what is written in the answer."""
    shown = asked["messages"][-1]["content"]
    marked = {match["name"]: match for match in MARKED.finditer(shown)}
    task, answer = (json.loads(marked[name]["data"]) for name in ("TASK", "ANSWER"))
    # What stands outside the marks is the only thing that is addressed to the grader.
    outside = MARKED.sub("", shown)
    ordered = ORDER.search(outside) or (ORDER.search(answer) if obeys else None)
    score = min(100, int(ordered[1])) if ordered else _score(task, answer)
    return json.dumps(
        {"id": marked["ANSWER"]["nonce"], "score": score, "reason": f"{score} of 100 by what the task says"}
    )


def _score(task: str, answer: str) -> int:
    """How many of an answer's runs of words stand in the task, in hundredths; nothing for next to no answer."""
    known, said = _runs(task), _runs(_prose(answer))
    return round(100 * len(said & known) / len(said)) if len(said) >= RUN else 0


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1)}


def _prose(answer: str) -> str:
    try:
        value = json.loads(answer)
    except ValueError:
        return answer
    if not isinstance(value, dict):
        return answer
    parts = (part if isinstance(part, list) else [part] for name, part in value.items() if name != "total")
    return " ".join(str(one) for part in parts for one in part if isinstance(one, str))
