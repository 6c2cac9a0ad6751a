"""Draws certificates, proofs and attestations."""

from collections.abc import Mapping
from typing import Any, TextIO

from coalesced.cli import units
from coalesced.cli.escape import escaped
from coalesced.cli.tables import Column, draw_facts, draw_table
from coalesced.control import shapes

STATEMENTS = (
    Column("issuer", "issuer"),
    Column("certificate", "serial"),
    Column("issued", "issued_unix_ms", "moment"),
    Column("ends", "expires_unix_ms", "moment"),
    Column("says", "text"),
    Column("believed", "believed"),
)


def draw_certificates(view: shapes.Certificates, out: TextIO) -> None:
    """A line for each statement shown, and for each certificate that does not hold."""
    rows: list[Mapping[str, Any]] = []
    for one in view["certificates"]:
        base = {**one, "serial": one["serial"][:8]}
        if not one["holds"]:
            rows.append({**base, "text": escaped(f"refused, {one['reason']}: {one['problem']}"), "believed": "no"})
        rows += ({**base, "text": escaped(row["text"]), "believed": _believed(one, row)} for row in one["statements"])
        if one["holds"] and not one["statements"]:
            rows.append({**base, "text": "nothing that it shows unasked", "believed": ""})
    draw_table(STATEMENTS, rows, out, empty=f"nobody certifies anything about {view['peer']}")


def _believed(certificate: shapes.CertificateRow, said: shapes.StatementRow) -> str:
    if not said["believed"]:
        return "no: not in proofs.attesters"
    return "yes" if certificate["revocations_unix_ms"] else "yes; its issuer could not be asked about revocation"


def draw_at_least(view: shapes.AtLeast, out: TextIO) -> None:
    """One sentence."""
    what = f"at least {view['at_least']} of {view['name']}"
    if view["shown"]:
        how = "by a range proof" if view["hidden"] else "by a tier"
        said = f"{view['peer']} proved {how} that it has {what}, as certified by {', '.join(view['issuers'])}"
    else:
        said = f"{view['peer']} did not show that it has {what}: {view['problem']}"
    out.write(f"{escaped(said)}\n")


def draw_attestation(view: shapes.Attestation, out: TextIO) -> None:
    """What was asked, how long it took, what that comes to."""
    asked = f"{view['rounds']} products of {view['size']} x {view['size']}"
    if view["memory_mib"]:
        asked += f", {view['memory_mib']} MiB filled"
    facts = [("peer", f"{view['peer']}  {view['did']}"), ("asked for", asked)]
    if not view["holds"]:
        draw_facts([*facts, ("refused", escaped(view["problem"]))], out)
        return
    took = f"{units.duration(view['elapsed_s'])} by this clock, least round trip {units.duration(view['least_rtt_s'])}"
    facts += [("took", took), ("rate", f"at least {view['rate_gops']:.1f} billion operations a second")]
    if view["fill_s"] is not None:
        filled = f"in {units.duration(view['fill_s'])}, shown again in {units.duration(view['answer_s'])}"
        facts.append(("memory", filled))
    checked = f"in {units.duration(view['checked_s'])}, from {units.size(view['received_bytes'])}"
    draw_facts([*facts, ("checked", checked)], out)


def draw_skill_test(view: shapes.SkillTest, out: TextIO) -> None:
    """What was asked, what came of it."""
    asked = view["good"] + view["bad"]
    right = f"{view['good']} of {units.counted(asked, 'item')} right"
    verdict = {"stands": "the claim stands", "falls": "the claim falls"}.get(view["verdict"], "undecided")
    facts = [
        ("peer", f"{view['peer']}  {view['did']}"),
        (
            "tested",
            f"{view['skill']}: {right}, {units.money(view['paid_micro'])}",
        ),
        ("verdict", verdict + (f": {escaped(view['ended'])}" if view["ended"] else "")),
        ("items", f"{view['items']} committed to by {view['items_root']}"),
    ]
    if view["verdict"] == "stands":
        share = f"{100 * view['good'] / asked:.0f}%"
        facts.append(("to certify", f"coalesced skills certify {view['peer']} --skill {view['skill']}={share}"))
    draw_facts(facts, out)


def draw_examined(view: shapes.Examined, out: TextIO) -> None:
    """What this node found out by itself; nothing where it never looked."""
    facts = [
        ("attested" if one["done"] else "asked", f"{units.moment(one['unix_ms'])}: {_attested(one)}")
        for one in view["attestations"]
    ]
    for proof in view["proved"]:
        what = f"at least {proof['at_least']} of {proof['name']}, as certified by {proof['issuer']}"
        facts.append(("proved", f"{units.moment(proof['unix_ms'])}: {escaped(what)}"))
    for row in view["tests"]:
        asked = units.counted(row["good"] + row["bad"], "item")
        text = f"{units.moment(row['unix_ms'])}: {row['skill']} {row['verdict']}, {row['good']} of {asked} right"
        facts.append(("tested", text))
    for canary in view["canaries"]:
        asked = units.counted(canary["good"] + canary["bad"], "canary", "canaries")
        text = f"{canary['skill']}, {canary['good']} of {asked} right, the last {units.moment(canary['unix_ms'])}"
        facts.append(("canaries", text))
    if view["leaks"]:
        facts.append(("leaks", f"{units.counted(view['leaks'], 'honeytoken')} that it was sent turned up elsewhere"))
    if view["drift"]:
        since = view["drift_unix_ms"]
        when = f"{units.moment(since)}, and what it showed before counts no more: " if since is not None else ""
        facts.append(("changed", when + escaped(view["drift"])))
    if facts:
        draw_facts(facts, out)


def _attested(one: shapes.AttestedRow) -> str:
    """What came of an attestation, by whom, and why it was asked for."""
    held = f"by this node, at least {one['rate_gops']:.1f} billion operations a second"
    if one["memory_mib"]:
        held += f", {one['memory_mib']} MiB filled"
    what = held if one["holds"] else f"{'refused' if one['done'] else 'not done'}: {escaped(one['problem'])}"
    return what + (f" (asked for by itself: {escaped(one['reason'])})" if one["reason"] else "")


def draw_leak(view: shapes.Leak, out: TextIO) -> None:
    """Who was sent it."""
    sellers = ", ".join(view["sellers"]) or "nobody: the task was done here"
    said = f"{view['token']} was in task {units.short_task(view['task'])}, which was sent to {sellers}"
    out.write(f"{escaped(said)}\n")


DRAWERS = {
    "certificates": draw_certificates,
    "at-least": draw_at_least,
    "attestation": draw_attestation,
    "skill-test": draw_skill_test,
    "examined": draw_examined,
    "leak": draw_leak,
}
