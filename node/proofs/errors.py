"""Why a proof is refused, as a code for programs and a sentence for people."""

from typing import Literal

Reason = Literal[
    "malformed",
    "bad_signature",
    "wrong_network",
    "wrong_subject",
    "not_yet_valid",
    "expired",
    "revoked",
    "not_in_root",
    "not_grown",
    "not_believed",
    "not_a_tier",
    "below",
    "bad_proof",
    "leaked_item",
    "too_many_questions",
    "wrong_signer",
    "replayed",
    "miscounted",
    "counted_twice",
]


class ProofError(Exception):
    """A proof that does not hold. `reason` names the kind, the text says what is wrong with it."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(reason, text)  # both, so that it travels between processes
        self.reason: Reason = reason
        self.text = text

    def __str__(self) -> str:
        return self.text
