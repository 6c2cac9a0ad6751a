"""Draws the views of the community chain."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TextIO, cast

from coalesced.cli import units
from coalesced.cli.tables import Column, draw_facts, draw_table
from coalesced.control import shapes

MEMBERS = (
    Column("member", "member"),
    Column("primary", "is_primary", "flag"),
    Column("this node", "is_self", "flag"),
    Column("signed last", "signed_last", "flag"),
    Column("unreachable", "unreachable", "flag", optional=True),
    Column("did", "did"),
)


DEALS = (
    Column("deal", "deal"),
    Column("stage", "stage"),
    Column("as", "role"),
    Column("credits", "credits", "count"),
    Column("asked", "asked_credits", "count"),
    Column("client", "client"),
    Column("contractor", "contractor"),
    Column("arbiter", "arbiter"),
    Column("until", "due"),
)


def status_line(ledger: shapes.LedgerBrief | None) -> str:
    """How a node stands with its chain."""
    if ledger is None:
        return "none: ledger.enabled is false"
    if not ledger["role"]:
        return ledger["problem"] or "being read"
    far = f"{ledger['lag']} behind" if ledger["lag"] else "up to date"
    return (
        f"height {ledger['height']}, {far}, view {ledger['view']}, {ledger['role']} of {ledger['name']}; "
        f"{tolerance(ledger['members'], ledger['tolerates'])}"
    )


def tolerance(members: int, tolerates: int) -> str:
    """What a committee of that size stands."""
    if members == 1:
        return "1 member: its word alone counts"
    if not tolerates:
        return f"{members} members tolerate none that fails or lies (f=0): four tolerate one"
    return f"{members} members tolerate {tolerates} that fail or lie (f={tolerates})"


def _draw_head(head: shapes.LedgerHead, out: TextIO) -> None:
    signed = f"{len(head['signers'])} of {head['members']} members: {', '.join(head['signers'])}"
    lag = f"{head['lag']} behind" if head["lag"] else "up to date"
    facts = [
        ("chain", f"{head['name']}  {head['chain']}"),
        ("from", head["origin"]),
        ("height", f"{head['height']}, {lag}; {units.moment(head['at_unix_ms'])}"),
        ("block", head["block"]),
        ("state", head["state_root"]),
        ("signed by", signed if head["signers"] else "nobody: this is the genesis"),
        ("role", f"{head['role']}, {tolerance(head['members'], head['tolerates'])}; {head['quorum']} decide"),
        ("deciding", f"height {head['height'] + 1} in view {head['view']}, {head['stage']}; primary {head['primary']}"),
        ("waiting", units.counted(head["waiting"], "transaction")),
    ]
    if head["unreachable"]:
        facts.append(("not reached", ", ".join(head["unreachable"])))
    if head["dropped"]:
        facts.append(("dropped", units.counted(head["dropped"], "message")))
    if head["problem"]:
        facts.append(("problem", head["problem"]))
    draw_facts(facts, out)


def _draw_members(view: shapes.LedgerMembers, out: TextIO) -> None:
    draw_table(MEMBERS, [cast("Mapping[str, Any]", row) for row in view["members"]], out)
    if out.isatty():
        print(f"\n{tolerance(len(view['members']), view['tolerates'])}; {view['quorum']} decide", file=out)


def _draw_verify(view: shapes.LedgerVerify, out: TextIO) -> None:
    state = "holds" if view["ok"] else f"BROKEN: {view['problem']}"
    first = view["first_height"]
    since = f" from {first:,} on, which follows a state that its committee certified" if first > 1 else ""
    blocks = units.counted(view["height"] - first + 1, "block")
    checked = f"{blocks}{since}, {units.counted(view['transactions'], 'transaction')}"
    facts = [("ledger", state), ("chain", view["chain"]), ("checked", checked)]
    draw_facts([*facts, ("block", view["block"]), ("state", view["state_root"])], out)


def _draw_genesis(view: Mapping[str, Any], out: TextIO) -> None:
    facts = [("chain", view["chain"]), ("name", f"{view['name']}, network {view['network']}")]
    facts += [("member", did) for did in view["members"]]
    draw_facts([*facts, ("committee", tolerance(len(view["members"]), view["tolerates"])), ("file", view["file"])], out)


def _draw_account(view: shapes.LedgerAccount, out: TextIO) -> None:
    facts = [
        ("account", f"{view['peer']}  {view['did']}, {view['standing']}"),
        ("credits", f"{view['credits']} free, {view['locked_credits']} locked, bond {view['bond']}"),
        ("successor", "named" if view["has_successor"] else "none named: coalesced keys rotate"),
        ("height", f"{view['height']} of chain {view['chain']}"),
    ]
    draw_facts(facts, out)
    rows = [{**row, "deal": row["deal"][:16], "due": units.moment(row["due_unix_ms"])} for row in view["deals"]]
    if rows:
        draw_table(DEALS, [cast("Mapping[str, Any]", row) for row in rows], out)


def _draw_check(view: Mapping[str, Any], out: TextIO) -> None:
    signed = (
        f"{len(view['signers'])} of {view['members']} members ({', '.join(view['signers'])}) in view {view['view']}"
    )
    facts = [
        ("proved", f"{view['kind']}, {view['about']}"),
        ("height", f"{view['height']}, {units.moment(view['at_unix_ms'])}"),
        ("signed by", signed),
        ("committee", f"{tolerance(view['members'], view['tolerates'])}; changed {view['committee_changes']} times"),
    ]
    facts += [(f"  {name}", str(value)) for name, value in view["content"].items()]
    facts += [(f"  receipt {name}", str(value)) for name, value in view.get("receipt", {}).items()]
    draw_facts(facts, out)


DRAWERS: Final[dict[str, Callable[[Any, TextIO], None]]] = {
    "ledger-head": _draw_head,
    "ledger-members": _draw_members,
    "ledger-verify": _draw_verify,
    "ledger-genesis": _draw_genesis,
    "ledger-check": _draw_check,
    "ledger-account": _draw_account,
}
