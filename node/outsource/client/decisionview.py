"""A decision as its owner sees it: the engine's explanation with addresses. Pure."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from crypto.identity import did_key
from node.decision.decision import Decision
from node.outsource.client.offers import NoOffer, Offer
from node.views import DecisionView, NoOfferRow, OptionRow

if TYPE_CHECKING:
    from node.decision.explain import ExplainedOption

PPM = 1_000_000


def decision_view(
    decision: Decision,
    offers: Iterable[Offer],
    refusals: Iterable[NoOffer],
    task_id: str,
    decided_unix_ms: int,
    alone: str,
) -> DecisionView:
    """The view of one decision. `offers` gives the sellers' addresses; `alone` says why nobody was asked, if so."""
    endpoints = {offer.seller.key: str(offer.seller.endpoint) for offer in offers}
    from node.decision.explain import explain

    explanation = explain(decision)
    local = decision.local
    return DecisionView(
        task_id=task_id,
        skill=decision.inputs.facts.skill,
        choice=decision.choice,
        contractor=decision.chosen.name if decision.chosen else "",
        level=decision.level,
        options=tuple(_row(option, endpoints) for option in explanation.options),
        no_offers=tuple(
            NoOfferRow(name=one.seller.name, did=did_key(one.seller.key), code=one.code, reason=one.reason)
            for one in refusals
        ),
        reasons=(f"{alone[0].upper()}{alone[1:]}.", *explanation.sentences) if alone else explanation.sentences,
        explored=decision.explored,
        local_micro=round(local.total_micro) if local.feasible else None,
        saving_micro=round(decision.saving_micro) if local.feasible else None,
        decided_unix_ms=decided_unix_ms,
        policy=decision.inputs.config.policy,
        runner_up=next((row.name for row in decision.rows if row.contractor == decision.runner_up), ""),
        limit_micro=round(decision.limit_micro),
        audited=decision.audited,
        audit_ppm=round(decision.chosen.audit_rate * PPM) if decision.chosen else 0,
        local_samples=decision.inputs.local.samples,
        local_error_ppm=round(decision.inputs.local.error * PPM) if decision.inputs.local.samples > 1 else None,
        exploration_ppm=round(decision.exploration.rate * PPM),
        exploration_target_ppm=round(decision.exploration.target * PPM),
    )


def _row(option: "ExplainedOption", endpoints: dict[bytes, str]) -> OptionRow:
    key = option.contractor
    return OptionRow(
        name=option.name,
        did=did_key(key) if key else "",
        endpoint=endpoints.get(key, "") if key else "",
        level=option.level,
        quoted_micro=option.quoted_micro,
        price_micro=option.price_micro,
        time_micro=option.time_micro,
        risk_micro=option.risk_micro,
        verify_micro=option.verify_micro,
        total_micro=option.total_micro,
        success_ppm=round(option.p_good * PPM),
        latency_s=option.time_s,
        topsis_ppm=None if option.topsis is None else round(option.topsis * PPM),
        chosen=option.chosen,
        feasible=option.feasible,
        note=option.note,
    )
