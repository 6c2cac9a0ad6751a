"""The library behind our interface: what it got wrong stays right here."""

import random

import pytest

from dht.contacts import NodeAddress, nearest
from dht.ids import ID_BITS, ID_BYTES
from dht.rpc import MAX_RESERVES, BucketTable, RequestTable, TableNode


def random_id(rng: random.Random) -> bytes:
    return rng.randbytes(ID_BYTES)


def filled_table(rng: random.Random, size: int, k: int = 20) -> BucketTable:
    table = BucketTable(random_id(rng), k)
    for number in range(size):
        table.add(TableNode(random_id(rng), bytes(32), "10.0.0.1", 1 + number))
    return table


@pytest.mark.parametrize("seed", range(5))
def test_a_table_names_its_true_closest_nodes_in_every_query(seed: int) -> None:
    rng = random.Random(seed)
    table = filled_table(rng, 1000)
    nodes = [node.node for node in table]
    for _ in range(200):
        target = random_id(rng)
        expected = sorted(nodes, key=lambda node: int.from_bytes(node.id, "big") ^ int.from_bytes(target, "big"))[:20]
        assert nearest((node.node for node in table), target, 20) == expected


def test_only_the_own_bucket_splits_so_the_table_grows_with_the_logarithm() -> None:
    table = filled_table(random.Random(1), 5000)
    assert len(table.buckets) <= 12
    assert all(len(bucket) <= 20 for bucket in table.buckets)
    assert 100 <= sum(1 for _ in table) <= 200


def test_the_nodes_in_reserve_stay_few_however_many_come() -> None:
    table = filled_table(random.Random(1), 5000)
    assert all(len(bucket.replacement_nodes) <= MAX_RESERVES for bucket in table.buckets)


def test_every_id_has_exactly_one_bucket() -> None:
    table = filled_table(random.Random(2), 1000)
    edges = [edge for bucket in table.buckets for edge in bucket.range]
    for number in [0, *edges, *(edge + 1 for edge in edges), *(edge - 1 for edge in edges), 2**ID_BITS - 1]:
        if 0 <= number < 2**ID_BITS:
            node = TableNode(number.to_bytes(ID_BYTES, "big"), bytes(32), "10.0.0.1", 1)
            bucket = table.buckets[table.get_bucket_for(node)]
            assert bucket.has_in_range(node)


def test_a_full_bucket_keeps_newcomers_in_reserve_and_promotes_one_when_there_is_room() -> None:
    table = BucketTable(b"\xff" * ID_BYTES, 2)
    nodes = [TableNode(bytes([0, number]) + bytes(18), bytes(32), "10.0.0.1", 1 + number) for number in range(4)]
    assert [table.add(node) for node in nodes] == [True, True, False, False]
    assert not table.has_room_for(nodes[3].id)
    assert table.get(nodes[3].id) is nodes[3]
    assert not table.holds(nodes[3].id)
    assert table.remove(nodes[0]) is nodes[3]
    assert [node.id for node in table] == [nodes[1].id, nodes[3].id]


def test_an_unknown_attribute_is_an_error_and_no_remote_call() -> None:
    protocol = RequestTable(lambda *_: None)
    with pytest.raises(AttributeError, match="rpc_anything"):
        _ = protocol.rpc_anything
    with pytest.raises(AttributeError, match="find_node"):
        protocol.find_node(("127.0.0.1", 1), b"")
    assert not hasattr(protocol, "welcome")


def test_refresh_ranges_lie_within_the_id_space() -> None:
    table = filled_table(random.Random(3), 1000)
    ranges = table.ranges_older_than(0.0)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == 2**ID_BITS - 1
    target = (5).to_bytes(ID_BYTES, "big")
    table.touch(target, 10.0)
    assert len(table.ranges_older_than(5.0)) == len(ranges) - 1


def test_a_table_node_is_told_to_others_by_id_and_address() -> None:
    node = TableNode(b"\1" * ID_BYTES, bytes(32), "10.0.0.1", 7)
    assert node.node == NodeAddress(b"\1" * ID_BYTES, "10.0.0.1", 7)
