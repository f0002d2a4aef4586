"""Where decoding goes: to nodes without a GPU, where there are both kinds."""

from typing import Any

from hashnext.shards.placement import Placement, place_decoders


def node(name: str, cpus: float, gpus: float = 0, alive: bool = True) -> dict[str, Any]:
    resources = {"CPU": cpus, **({"GPU": gpus} if gpus else {})}
    return {"NodeID": name, "Alive": alive, "Resources": resources}


def place(*nodes: dict[str, Any], world: int = 1, cores: int = 64, **known: Any) -> Placement:
    known = {"wanted": 0} | known
    return place_decoders(nodes, world=world, cores_here=cores, **known)


def test_one_machine_shares_its_cpus() -> None:
    assert place(node("a", 4)) == Placement(3)
    assert place(node("a", 4), world=2) == Placement(1)
    assert place(node("a", 4), cores=2) == Placement(2), "no more than it has cores"
    assert place(node("a", 64)) == Placement(16)


def test_machines_that_all_have_gpus_decode_where_they_train() -> None:
    assert place(node("a", 8, 4), node("b", 8, 4), world=8) == Placement(1, beside_steps=False)


def test_cpu_machines_decode_for_gpu_machines() -> None:
    found = place(node("gpu", 32, 8), node("b", 16), node("a", 16), world=8)
    assert found == Placement(4, ("a", "b"), beside_steps=False)
    found = place(node("gpu", 32, 1), node("a", 64), wanted=7)
    assert found == Placement(7, ("a",), beside_steps=False)


def test_lost_machines_and_a_head_without_cpus_do_not_decode() -> None:
    lost = node("a", 16, alive=False)
    assert place(node("gpu", 8, 1), lost) == Placement(7, beside_steps=False)
    head = node("head", 0)
    assert place(node("gpu", 8, 1), head) == Placement(7, beside_steps=False)


def test_where_workers_hold_all_cpus_decoders_ask_for_none() -> None:
    """Otherwise a worker's decoder could wait for ever for the CPU of another worker's."""
    assert place(node("a", 1)) == Placement(1, cpus=0), "one decoder at least"
    three = [node("a", 3), node("b", 2), node("c", 2)]
    assert place(*three, world=3, worker_cpus=2) == Placement(1, cpus=0), "one CPU for three"
    assert place(*three, world=2, worker_cpus=2) == Placement(1)
    assert place(node("a", 8), wanted=8) == Placement(8, cpus=0)
    assert place(node("a", 8), idle=3) == Placement(7, cpus=0), "another job has the others"
    found = place(node("gpu", 32, 8), node("a", 4), world=8)
    assert found == Placement(1, ("a",), cpus=0, beside_steps=False)


def test_without_a_choice_ray_is_told_of_cpus_only() -> None:
    assert Placement(4).options == {"num_cpus": 1}
    assert Placement(4, cpus=0).options == {"num_cpus": 0}
