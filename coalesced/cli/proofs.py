"""`coalesced skills certify, keep, revoke, prove, attest, test`: certificates, proofs and tests of other nodes."""

from pathlib import Path

import click

from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options
from coalesced.cli.params import MONEY
from coalesced.control import shapes

REFUSED_EXIT = 7
"""As a result that fails its check."""


@click.command()
@click.argument("peer")
@click.option("--skill", "skills", multiple=True, help="A skill, or LABEL=93% with its share of test items done right.")
@click.option("--resource", "resources", multiple=True, help="NAME=64, or NAME@HOST=64 for one of several hosts.")
@click.option("--days", type=click.IntRange(1, 730), default=90, show_default=True, help="How long it holds.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where to put it: PEER.credential.")
@command_options
def certify(
    face: Face, /, peer: str, skills: tuple[str, ...], resources: tuple[str, ...], days: int, out: Path | None
) -> None:
    """Certify what you know about PEER.

    The credential is written for it to keep; others believe it if they name this node among their proofs.attesters.
    The file holds every figure: give it to PEER alone, who keeps it with `coalesced skills keep FILE`. What was
    certified before stays certified.
    """
    request: shapes.CertifyRequest = {"peer": peer, "skills": list(skills), "resources": list(resources), "days": days}
    path = out or Path(f"{peer.replace(':', '-')}.credential")
    try:
        path.touch(0o600, exist_ok=False)  # before anything is certified that could then not be handed over
    except OSError as error:
        raise CliError(f"cannot write {path}: {error.strerror}", hint="choose another file with --out") from error
    try:
        made = face.run(lambda client: client.certify(request))
    except BaseException:
        path.unlink()
        raise
    path.write_text(made["document"] + "\n", encoding="utf-8")
    if face.as_json:
        face.print_json({**made, "document": str(path)})
        return
    face.say(f"certificate {made['serial'][:8]} about {made['peer']} is in {path}; there: coalesced skills keep {path}")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@command_options
def keep(face: Face, /, file: Path) -> None:
    """Keep a credential about this node.

    Somebody issued it; from now on it is shown to those who ask.
    """
    document = _text_of(file)
    face.show(face.run(lambda client: client.keep_credential(document)))


@click.command()
@click.argument("serial")
@command_options
def revoke(face: Face, /, serial: str) -> None:
    """Take back a certificate of this node's.

    SERIAL may be its beginning.
    """
    face.show(face.run(lambda client: client.revoke_certificate(serial)))


@click.command()
@click.argument("peer")
@click.argument("name")
@click.argument("amount", type=click.IntRange(1, 2**31))
@click.option("--hidden", is_flag=True, help="By a zero-knowledge range proof: hides even which tiers it has.")
@command_options
def prove(face: Face, /, peer: str, name: str, amount: int, *, hidden: bool) -> None:
    """Ask PEER to prove it has enough of a resource.

    At least AMOUNT, without saying how much. It is certified figures that are proved, by somebody whom this node
    believes. Exit code 7 where nothing was shown.
    """
    shown = face.run(lambda client: client.at_least(peer, name, amount, hidden=hidden))
    face.show(shown)
    if not shown["shown"]:
        raise click.exceptions.Exit(REFUSED_EXIT)


@click.command()
@click.argument("peer")
@click.option("--size", type=click.Choice(["256", "512", "1024", "2048", "4096"]), default="1024", show_default=True)
@click.option("--rounds", type=click.IntRange(1, 16), default=8, show_default=True, help="Products, one after another.")
@click.option("--memory", "memory_mib", type=click.IntRange(0, 1024), default=0, help="MiB to be filled as well.")
@command_options
def attest(face: Face, /, peer: str, size: str, rounds: int, memory_mib: int) -> None:
    """Have PEER compute, timed and checked here.

    What it computes cannot be cut short: it shows that PEER has access to so much compute now, and not whose it is.
    Its owner sets what may be asked (attestation.max_size). Exit code 7 where what it showed does not hold.
    """
    found = face.run(lambda client: client.attest(peer, size=int(size), rounds=rounds, memory_mib=memory_mib))
    face.show(found)
    if not found["holds"]:
        raise click.exceptions.Exit(REFUSED_EXIT)


@click.command()
@click.argument("peer")
@click.argument("label")
@click.option(
    "--items", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True, help="JSON lines."
)
@click.option("--claimed", type=click.FloatRange(0.01, 0.999), default=0.8, show_default=True, help="Share it claims.")
@click.option(
    "--too-low", type=click.FloatRange(0.001, 0.99), default=0.6, show_default=True, help="Told apart from it."
)
@click.option("--most", type=click.IntRange(1, 1000), default=200, show_default=True, help="Items at most.")
@click.option("--budget", type=MONEY, help="Dollars for all items together.")
@command_options
def test(
    face: Face, /, peer: str, label: str, items: Path, claimed: float, too_low: float, most: int, budget: int | None
) -> None:
    """Test a skill of PEER by hidden items.

    Their answers are known here. Items are asked one by one as ordinary paid tasks until the answers suffice, and none
    is ever asked again. A line of the file is {"input": ..., "expected": ..., "media_type": ...,
    "expected_media_type": ...}. Certify what you found with `coalesced skills certify`. Exit code 7 unless the claim
    stands.
    """
    request: shapes.SkillTestRequest = {
        "peer": peer,
        "skill": label,
        "items": _text_of(items),
        "claimed_ppm": round(claimed * 1_000_000),
        "too_low_ppm": round(too_low * 1_000_000),
        "most": most,
        "budget_micro": budget,
    }
    found = face.run(lambda client: client.test_skill(request))
    face.show(found)
    if found["verdict"] != "stands":
        raise click.exceptions.Exit(REFUSED_EXIT)


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"cannot read {file}: {error}") from error


COMMANDS = (attest, certify, keep, prove, revoke, test)
