"""How a node takes part in discovery: sizes, times and limits, each with its reason."""

from typing import Annotated

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=1, le=100_000)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class DhtConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the DHT. All nodes of a network should agree on `k`; the rest is each node's own business."""

    k: Annotated[int, Meta(ge=1, le=20)] = 20
    """Size of a bucket, width of a look-up, holders of a record: 20 is the paper's and every deployment's value."""
    slots: Annotated[int, Meta(ge=1, le=16)] = 3
    """Queries of one look-up that may be unanswered at once (the paper's alpha)."""
    agreeing_holders: Annotated[int, Meta(ge=1, le=32)] = 3
    """An ordinary `find` ends early once this many holders know nothing that we do not."""
    max_found: Count = 64
    """Records that one `find` returns at most: more sellers than anyone asks for a quote."""

    min_soft_timeout_s: Seconds = 0.15
    max_soft_timeout_s: Seconds = 1.0
    first_soft_timeout_s: Seconds = 0.5
    """Before any round trip was measured. Afterwards it is 3 smoothed round trips within the two bounds above."""
    hard_timeout_s: Seconds = 2.0
    """A request without an answer after this long is lost."""
    max_losses: Annotated[int, Meta(ge=1, le=10)] = 2
    """Consecutive lost requests that evict a contact: one may be bad luck."""

    record_ttl_s: Annotated[float, Meta(gt=0, le=7_200)] = 3_600
    """Life of a record; holders refuse more than two hours."""
    republish_s: Seconds = 1_740
    """29 minutes, with the jitter half an hour at most: what a holder misses, the next renewal makes good in time,
    and its write token is still good."""
    republish_jitter_ppm: Annotated[int, Meta(ge=0, le=500_000)] = 34_000
    """+-1 minute, so that what was published together is not renewed together for long."""
    full_lookup_every: Count = 4
    """Most republications go straight to the remembered holders; each n-th looks up who is closest now."""
    refresh_s: Seconds = 3_600
    """A bucket in which nothing was looked up for this long gets a look-up (the paper's hour)."""

    bootstrap_backoff_s: Seconds = 1.0
    max_bootstrap_backoff_s: Seconds = 60.0
    """Bootstrap addresses that do not answer are tried for ever, from once a second to once a minute."""

    max_records: Count = 10_000
    """Foreign records held: about 5 MiB at the usual size."""
    max_records_per_key: Annotated[int, Meta(ge=1, le=4_096)] = 512
    max_records_per_group: Count = 8
    """Records under one key from one address group (an IPv4 /24, an IPv6 /56)."""
    max_contacts_per_group: Count = 10
    max_bucket_contacts_per_group: Count = 2
    """Contacts from one address group in the table, and in one bucket of it."""
    limit_private_addresses: bool = False
    """Whether the address-group limits also bind loopback and private ranges; a testnet lives in one such group."""
    max_checks: Count = 32
    """Unproven nodes that are being pinged at once; a flood of strangers beyond that is ignored."""
