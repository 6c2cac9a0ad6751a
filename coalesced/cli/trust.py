"""`coalesced trust`: what the community chain says about a peer."""

from typing import TYPE_CHECKING

import click

from coalesced.cli.face import Face, command_options

if TYPE_CHECKING:
    from protocol.transactions import Objection

OBJECTIONS = ("paid_late", "wrong_outcome", "wrong_score", "changed_request", "not_my_client", "other")
"""As protocol.transactions.Objection has them."""


@click.group()
def trust() -> None:
    """What is said about a peer, and how far this node believes it."""


@trust.command()
@click.argument("peer")
@command_options
def show(face: Face, /, peer: str) -> None:
    """What the chain says of PEER, and who said it.

    Evidence, decay, interval, both levels.

    Level 1 is the same for everybody and believes everybody. Level 2 is this node's own: it believes this node and the
    members of the committee, and whoever agrees with them.
    """
    face.show(face.run(lambda client: client.trust(peer)))


@trust.command()
@click.argument("job", metavar="RECEIPT|TASK")
@click.argument("text")
@click.option("--dispute", is_flag=True, help="It is wrong: that is counted, and shown beside it.")
@click.option("--because", type=click.Choice(OBJECTIONS), default="other", show_default=True, help="What is wrong.")
@click.option("--passphrase-file", default="", help="Opens this node's key, where it is sealed.")
@command_options
def answer(face: Face, /, job: str, text: str, dispute: bool, because: "Objection", passphrase_file: str) -> None:
    """Answer the rating of a job that this node did.

    A rating has one answer. TEXT stays here: the chain takes its SHA-256, so that it can be shown to whoever asks.
    """
    from hashlib import sha256

    from coalesced.cli.ledger_files import rating_in
    from coalesced.cli.signing import own_account, own_identity, signed, submitted
    from protocol.transactions import AnswerRating

    proof = face.run(lambda client: client.ledger_proof(job))
    done = submitted(
        face,
        signed(
            AnswerRating,
            own_identity(face, passphrase_file),
            own_account(face),
            acceptance_id=rating_in(proof["proof"], job).acceptance_id,
            stance="dispute" if dispute else "response",
            objection=because,
            text_sha256=sha256(text.encode()).digest(),
        ),
    )
    face.show(done)


@trust.command("report-leak")
@click.argument("text")
@command_options
def report_leak(face: Face, /, text: str) -> None:
    """Tell that a string of an input turned up.

    The answer is which sellers were sent the task that it stood in. TEXT is the honeytoken, or anything with it. To
    each of them it counts as a failed job.
    """
    face.show(face.run(lambda client: client.report_leak(text)))
