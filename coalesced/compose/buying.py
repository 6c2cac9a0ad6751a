"""The client's role."""

from dataclasses import dataclass

from msgspec.structs import replace

from coalesced.compose.ground import Base
from coalesced.compose.paying import Paying
from coalesced.config import Config
from node.community.community import Community
from node.decision.config import DecisionConfig
from node.outsource.checking import Checking
from node.outsource.client.agentorders import AgentOrders
from node.outsource.client.attempt import Attempts
from node.outsource.client.canaries import Canaries, items_of
from node.outsource.client.cards import Cards
from node.outsource.client.clearance import Clearance
from node.outsource.client.client import Client
from node.outsource.client.course import Course
from node.outsource.client.enquiry import Enquiry
from node.outsource.client.finder import Finder
from node.outsource.client.hearsay import Hearsay
from node.outsource.client.honeytokens import Honeytokens
from node.outsource.client.listings import Listings
from node.outsource.client.lives import Lives
from node.outsource.client.marketwatch import MarketWatch
from node.outsource.client.marking import Marking
from node.outsource.client.offers import Market
from node.outsource.client.ontheway import OnTheWay
from node.outsource.client.orders import Orders
from node.outsource.client.plancourse import PlanCourse
from node.outsource.client.promises import Promises
from node.outsource.client.reader import Reader
from node.outsource.client.reexamining import Reexaminer
from node.outsource.client.request import Undisclosed
from node.outsource.client.rollcall import Absences, RollCall
from node.outsource.client.settlement import Settlement
from node.outsource.client.standings import Standings
from node.outsource.client.subscriptions import Subscriptions
from node.outsource.client.surveyor import Surveyor
from node.outsource.client.unanswered import Unanswered
from node.store.tasks import TaskRow
from node.views import AskRequest

AUDIT_LABEL = b"coalesced audit key 1"
ORDER_LABEL = b"coalesced order key 1"
EXAMINING_LABEL = b"coalesced examining key 1"
"""They sign nothing else, so that no signature that is ever sent can be the key."""


@dataclass(frozen=True, slots=True)
class Buying:
    """What the client's role is made of."""

    listings: Listings
    finder: Finder
    roll_call: RollCall
    promises: Promises
    unanswered: Unanswered
    client: Client
    hearsay: Hearsay
    subscriptions: Subscriptions


def build_buying(base: Base, community: Community, paying: Paying, reexaminer: Reexaminer) -> Buying:
    """The client's role."""
    config, env, store, identity = base.config, base.ground.env, base.ground.store, base.ground.identity
    absences = Absences()
    hearsay = Hearsay(store.priors, env.unix_ms)

    async def order(request: AskRequest, undisclosed: Undisclosed) -> TaskRow:
        return await client.order(request, undisclosed)

    checking = build_checking(base)
    on_the_way = OnTheWay()
    clearance = Clearance(config.security, store.shown, store.examinations, store.drifting)
    listings = Listings(
        own_key=identity.public_key,
        own_endpoint=base.ground.addresses.advertised,
        network=config.node.network,
        sources=base.sources,
        clearance=clearance,
        is_blocked=base.peers.is_blocked,
        unix_ms=env.unix_ms,
        timeout_s=config.client.find_timeout_s,
    )
    surveyor = Surveyor(
        own_key=identity.public_key,
        network=config.node.network,
        config=config.client,
        decision=heeding(config),
        work=base.work,
        checking=checking,
        market=Market(base.peers, absences, env.unix_ms),
        settling=paying.settling,
        standings=Standings(identity.public_key, community, env),
        hearsay=hearsay,
        clearance=clearance,
        on_the_way=on_the_way,
        outcomes=store.outcomes,
        spending=store.spending,
        journal=store.journal,
        memories=store.policy_memories,
        unix_ms=env.unix_ms,
        entropy=env.entropy,
        # Signatures that are never sent: known to nobody else, and the same after a restart.
        audit_key=identity.sign(AUDIT_LABEL, config.node.network.encode()),
        id_key=identity.sign(ORDER_LABEL, config.node.network.encode()),
    )
    timeout_s = config.client.receipt_timeout_s
    promises = Promises(env=env, spending=store.spending, journal=store.journal, in_background=base.in_background)
    orders = Orders(
        identity=identity,
        env=env,
        peers=base.peers,
        tasks=base.tasks,
        journal=store.journal,
        promises=promises,
        outcomes=store.outcomes,
        settlement=Settlement(identity=identity, env=env, journal=store.journal, peers=base.peers, timeout_s=timeout_s),
        settling=paying.settling,
        on_the_way=on_the_way,
        community=community,
        in_background=base.in_background,
    )
    agent_orders = AgentOrders(
        env=env,
        agents=base.ground.agents,
        checking=checking,
        promises=promises,
        expenses=base.expenses,
        journal=store.journal,
        outcomes=store.outcomes,
        tasks=base.tasks,
        in_background=base.in_background,
    )
    attempts = Attempts(
        env=env,
        work=base.work,
        checking=checking,
        orders=orders,
        agents=agent_orders,
        promises=promises,
        expenses=base.expenses,
        delegations=base.delegations,
        tasks=base.tasks,
        receipt_timeout_s=timeout_s,
        in_background=base.in_background,
    )
    finder = Finder(
        own_key=identity.public_key,
        own_endpoint=base.ground.addresses.advertised,
        network=config.node.network,
        executor=base.ground.executor,
        sources=base.sources,
        outcomes=store.outcomes,
        places=store.places,
        reader=Reader(config.meaning),
        has=config.contractor.has,
        is_blocked=base.peers.is_blocked,
        env=env,
        timeout_s=config.client.find_timeout_s,
    )
    plans = PlanCourse(
        config=config.client,
        work=base.work,
        finder=finder,
        log_=base.tasks,
        blobs=store.blobs,
        expenses=base.expenses,
    )
    subscriptions = Subscriptions(
        config=config.priors,
        own_key=identity.public_key,
        network=config.node.network,
        env=env,
        priors=store.priors,
        hearsay=hearsay,
        listings=listings.of,
        order=order,
        in_background=base.in_background,
    )
    examining_key = identity.sign(EXAMINING_LABEL, config.node.network.encode())
    watch = MarketWatch(env, store.quote_rounds, store.outcomes)
    client = Client(
        env=env,
        config=config.client,
        work=base.work,
        checking=checking,
        finder=finder,
        course=Course(
            env=env,
            surveyor=surveyor,
            enquiry=Enquiry(
                listings=listings,
                surveyor=surveyor,
                tasks=base.tasks,
                watch=watch,
                agents=base.ground.agents,
                cards=Cards(
                    own_key=identity.public_key,
                    network=config.node.network,
                    sources=base.sources,
                    is_blocked=base.peers.is_blocked,
                    timeout_s=config.client.find_timeout_s,
                ),
                reexaminer=reexaminer,
            ),
            attempts=attempts,
            tasks=base.tasks,
            decisions=store.decisions,
            on_the_way=on_the_way,
            finder=finder,
            reexaminer=reexaminer,
            watch=watch,
            agents=base.ground.agents,
            subscriptions=subscriptions,
        ),
        running=base.running,
        lives=Lives(
            env=env,
            running=base.running,
            expenses=base.expenses,
            log_=base.tasks,
            tasks=store.tasks,
            blobs=store.blobs,
        ),
        expenses=base.expenses,
        delegations=base.delegations,
        log_=base.tasks,
        tasks=store.tasks,
        blobs=store.blobs,
        canaries=Canaries(
            env=env,
            items=items_of(config.verification.canaries, "verification.canaries"),
            share=config.verification.canary_share,
            key=examining_key,
            examinations=store.examinations,
            marking=Marking(env, store.outcomes),
            in_background=base.in_background,
        ),
        honeytokens=Honeytokens(
            env=env, key=examining_key, examinations=store.examinations, is_on=config.client.honeytokens
        ),
        plans=plans,
    )
    unanswered = Unanswered(journal=store.journal, orders=orders, peers=store.peers, listings=listings)
    roll_call = RollCall(base.peers, absences, env.unix_ms)
    return Buying(listings, finder, roll_call, promises, unanswered, client, hearsay, subscriptions)


def build_checking(base: Base) -> Checking:
    """How delivered work is checked; a judge is loaded where one is configured. UsageError where it has no price."""
    config, env, judge = base.config.verification, base.ground.env, None
    if config.judge is not None:
        from node.execute.openai.judge import JudgeModel
        from node.outsource.judge import Judge

        judge = Judge(JudgeModel(config.judge, base.work.rates.api_prices), base.work, env.entropy)
    return Checking(env, base.work, config, judge)


def heeding(config: Config) -> DecisionConfig:
    """The rule that decides: with market makers hired, the default rule is the one that counts their words as well."""
    if config.priors.is_on and config.decision.policy == "expected-cost":
        return replace(config.decision, policy="market-maker")
    return config.decision
