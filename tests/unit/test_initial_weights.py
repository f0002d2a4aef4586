"""Weights from elsewhere: every form that they come in, what they are of, and what is refused."""

import argparse
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from timm.models.resnet import Bottleneck, ResNet
from torch import Tensor

from hashnext.errors import ConfigError, DataError
from hashnext.models.initial_weights import (
    NON_COMMERCIAL,
    InitialWeights,
    load_into,
    network_of,
    read_weights,
)
from hashnext.models.resnext import ResNeXtConfig, build
from hashnext.models.state_dict import described, plain
from hashnext.registry.package import ModelPackage, write_package
from hashnext.storage import Folder

CONFIG = ResNeXtConfig(blocks=(1, 2, 1, 1), groups=2, width_per_group=3)
LABELS = 7
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(0)
    return dict(build(CONFIG, LABELS).state_dict())


@pytest.fixture
def weights(state: State, tmp_path: Path) -> InitialWeights:
    return read_weights(saved(tmp_path / "weights.pth", state))


def saved(path: Path, value: object) -> str:
    torch.save(value, path)
    return str(path)


def hashed(folder: Path, name: str, value: object) -> str:
    """Saved under a name that ends in the first digits of its SHA-256, as releases are."""
    path = Path(saved(folder / "unnamed", value))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return str(path.rename(folder / f"{name}-{sha256[:8]}.pth"))


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Address of a web server for a folder, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def without_counters(state: State) -> State:
    return {n: t for n, t in state.items() if not n.endswith("num_batches_tracked")}


FORMS: dict[str, Callable[[State], Any]] = {
    "plain": lambda state: state,
    "wrapped": lambda state: {"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}},
    "model": lambda state: {"model": state},
    "parallel": lambda state: {"state_dict": {f"module.{n}": t for n, t in state.items()}},
    "compiled": lambda state: {f"module._orig_mod.{n}": t for n, t in state.items()},
    "compiled before wrapped": lambda state: {f"_orig_mod.module.{n}": t for n, t in state.items()},
    "from before 0.4.1": without_counters,
    "double": lambda state: {
        n: t.double() if t.is_floating_point() else t for n, t in state.items()
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_network(form: str, state: State, tmp_path: Path) -> None:
    weights = read_weights(saved(tmp_path / "weights.pth", FORMS[form](state)))
    assert (weights.config, weights.num_labels) == (CONFIG, LABELS)
    assert (weights.licence, weights.lineage) == (None, {})
    assert weights.sha256 == hashlib.sha256(Path(weights.source).read_bytes()).hexdigest()
    found = network_of(weights).state_dict()
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(found[name], tensor), name
        assert found[name].dtype == tensor.dtype


def test_the_released_checkpoints_layout_is_read_at_its_full_size(tmp_path: Path) -> None:
    with torch.device("meta"):
        theirs = torchvision.models.resnext101_32x8d().state_dict()
    # Every tensor has its real shape and, in the file, one number: 3 MB instead of 355.
    numbers = {n: torch.full((), 0.5, dtype=t.dtype).expand(t.shape) for n, t in theirs.items()}
    weights = read_weights(hashed(tmp_path, "ig_resnext101_32x8", numbers))
    assert weights.config == ResNeXtConfig(blocks=(3, 4, 23, 3), groups=32, width_per_group=8)
    assert (weights.num_labels, weights.licence) == (1000, NON_COMMERCIAL)
    network = network_of(weights)
    assert {n: t.shape for n, t in network.state_dict().items()} == {
        n: t.shape for n, t in theirs.items()
    }
    assert sum(p.numel() for p in network.parameters()) == 88_791_336
    assert (network.layer3[22].conv2.weight == 0.5).all()


def test_half_precision_is_read_as_float32(state: State, tmp_path: Path) -> None:
    halved = {n: t.half() if t.is_floating_point() else t for n, t in state.items()}
    found = read_weights(saved(tmp_path / "weights.pth", halved)).state["conv1.weight"]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, state["conv1.weight"], atol=1e-3, rtol=1e-3)


def test_safetensors_and_the_format_of_2019(state: State, tmp_path: Path) -> None:
    save_file(state, tmp_path / "model.safetensors")
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("model.safetensors", "old.pth"):
        for location in (str(tmp_path / name), (tmp_path / name).as_uri()):
            found = read_weights(location).state
            assert all(torch.equal(found[n], t) for n, t in state.items())


@settings(max_examples=6)
@given(
    st.tuples(*[st.integers(1, 3)] * 4), st.sampled_from([1, 2, 32]), st.integers(1, 64),
    st.booleans(), st.integers(1, 30),
)  # fmt: skip
def test_the_shapes_tell_the_configuration(
    blocks: tuple[int, int, int, int], groups: int, width: int, small_stem: bool, labels: int
) -> None:
    config = ResNeXtConfig(
        blocks=blocks, groups=groups, width_per_group=width, small_stem=small_stem
    )
    with torch.device("meta"):
        state = build(config, labels).state_dict()
    assert described(state) == (config, labels)


def test_a_package_brings_its_lineage(tiny_package: ModelPackage) -> None:
    weights = read_weights(tiny_package.folder.location)
    assert (weights.config, weights.num_labels) == (tiny_package.config, 8)
    assert weights.sha256 == tiny_package.fingerprint
    assert weights.lineage["vocabulary"] == tiny_package.lineage["vocabulary"]
    assert weights.licence is None
    expected = tiny_package.build().state_dict()
    assert all(torch.equal(t, expected[n]) for n, t in network_of(weights).state_dict().items())


def test_a_licence_is_handed_on_to_what_was_trained_from_it(
    tiny_package: ModelPackage, tmp_path: Path
) -> None:
    origin = {"source": "ig.pth", "sha256": "0" * 64, "licence": NON_COMMERCIAL}
    write_package(
        Folder.at(tmp_path / "package"), state_dict=tiny_package.build().state_dict(),
        config=tiny_package.config, vocabulary=tiny_package.vocabulary,
        preprocess=tiny_package.preprocess, calibration=tiny_package.calibration,
        lineage={"initial_weights": origin},
    )  # fmt: skip
    assert read_weights(str(tmp_path / "package")).origin["licence"] == NON_COMMERCIAL


@pytest.mark.parametrize(
    ("name", "licence"),
    [
        ("ig_resnext101_32x48.pth", NON_COMMERCIAL),
        ("semi_weakly_supervised_resnext50_32x4.pth", NON_COMMERCIAL),
        ("resnext101_32x8d.fb_wsl_ig1b_ft_in1k.pth", NON_COMMERCIAL),
        ("resnext50_32x4d.pth", None),
    ],
)
def test_the_licence_of_known_names(
    name: str, licence: str | None, state: State, tmp_path: Path
) -> None:
    weights = read_weights(saved(tmp_path / name, state))
    assert weights.licence == licence
    report = load_into(build(CONFIG, LABELS), weights, head=True)
    assert report.figures()["licence"] == (licence or "unknown")


def test_a_trunk_is_loaded_and_the_head_left_as_it_was(weights: InitialWeights) -> None:
    for labels, why in ((12, "7 outputs, not 12"), (LABELS, "not asked for")):
        network = build(CONFIG, labels)
        head = network.fc.weight.clone()
        report = load_into(network, weights, head=False)
        assert torch.equal(network.fc.weight, head)
        assert torch.equal(network.conv1.weight, weights.state["conv1.weight"])
        assert set(report.loaded) == weights.state.keys() - {"fc.weight", "fc.bias"}
        assert why in report.figures()["head"]
        assert [each.name for each in report.wrong_shape] == ["fc.weight", "fc.bias"] * (
            labels != LABELS
        )
        assert report.origin == weights.origin


def test_a_head_that_was_asked_for_has_to_fit(weights: InitialWeights) -> None:
    network = build(CONFIG, 12)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    message = r"2 of another shape: fc.weight \(7, 2048\), the network wants \(12, 2048\)"
    with pytest.raises(DataError, match=message):
        load_into(network, weights, head=True)
    assert all(torch.equal(t, before[n]) for n, t in network.state_dict().items())


def test_a_factorised_head_is_recognised(tmp_path: Path) -> None:
    network = build(replace(CONFIG, head_rank=5), 7)
    weights = read_weights(saved(tmp_path / "factorised.pth", network.state_dict()))
    assert (weights.config.head_rank, weights.num_labels) == (5, 7)
    again = network_of(weights).state_dict()
    assert all(torch.equal(t, again[n]) for n, t in network.state_dict().items())
    plain = load_into(build(CONFIG, 3), weights, head=False)
    assert plain.unexpected == ("fc.reduce.weight",)


def test_weights_without_a_head(state: State, tmp_path: Path) -> None:
    trunk = {n: t for n, t in state.items() if not n.startswith("fc.")}
    weights = read_weights(saved(tmp_path / "trunk.pth", trunk))
    assert weights.num_labels is None
    report = load_into(build(CONFIG, 3), weights, head=False)
    assert report.missing == ("fc.weight", "fc.bias")
    assert "the weights have none" in report.figures()["head"]
    with pytest.raises(DataError, match="has no label head"):
        network_of(weights)


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            ResNeXtConfig(blocks=(1, 1, 1, 1), groups=2, width_per_group=3),
            "18 unexpected: layer2.1",
        ),
        (ResNeXtConfig(blocks=(1, 2, 1, 2), groups=2, width_per_group=3), "18 missing: layer4.1"),
        (ResNeXtConfig(blocks=(1, 2, 1, 1), groups=2), r"of another shape: layer1.0.conv1.weight"),
    ],
)
def test_a_trunk_of_another_network_is_refused(
    config: ResNeXtConfig, message: str, head: bool, weights: InitialWeights
) -> None:
    with pytest.raises(DataError, match=message):
        load_into(build(config, LABELS), weights, head=head)


def renamed(state: State, old: str, new: str) -> State:
    return {name.replace(old, new): tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: renamed(s, "conv1.weight", "conv1.0.weight"), "conv1.weight is missing"),
        (lambda s: {n: t for n, t in s.items() if "layer4" not in n}, "no four stages"),
        (lambda s: {"conv1.weight": torch.zeros(3)}, "layer1.0.conv2.weight is missing"),
        (lambda s: {"epoch": 3, "accuracy": 0.8}, "no state dict: holds epoch, accuracy"),
        (lambda s: [1, 2], "no state dict: holds a list"),
        (lambda s: {}, "no state dict: holds nothing"),
    ],
)
def test_what_is_no_resnext_is_refused(
    change: Callable[[State], Any], message: str, state: State, tmp_path: Path
) -> None:
    path = saved(tmp_path / "weights.pth", change(state))
    with pytest.raises(DataError, match=rf"weights\.pth: .*{message}"):
        read_weights(path)


def test_other_networks_of_the_family_are_refused(state: State, tmp_path: Path) -> None:
    squeezing = state | {"layer1.0.se.fc1.weight": torch.zeros(3, 3)}
    with pytest.raises(DataError, match=r"does not fit .* 1 unexpected: layer1\.0\.se\.fc1"):
        network_of(read_weights(saved(tmp_path / "se.pth", squeezing)))


def test_objects_are_never_unpickled(state: State, tmp_path: Path) -> None:
    path = saved(tmp_path / "run.pth", {"state_dict": state, "args": argparse.Namespace(lr=0.1)})
    with pytest.raises(DataError, match=r"run\.pth: .*argparse\.Namespace, and only tensors"):
        read_weights(path)


@pytest.mark.parametrize("name", ["text.pth", "text.safetensors"])
def test_other_files_are_refused(name: str, tmp_path: Path) -> None:
    for data in (b"", b"not weights at all", b"PK\x03\x04 half a zip file"):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=name):
            read_weights(str(tmp_path / name))


def test_places_that_hold_no_weights(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read_weights(str(tmp_path / "absent.pth"))
    with pytest.raises(DataError, match="not a model package"):
        read_weights(str(tmp_path))
    with pytest.raises(ConfigError, match="not a URI"):
        read_weights("ftp://example.org/weights.pth")


def test_the_hash_in_the_name_is_verified(state: State, tmp_path: Path) -> None:
    path = Path(hashed(tmp_path, "ig_resnext101_32x8", state))
    assert read_weights(str(path)).sha256.startswith(path.stem[-8:])
    wrong = path.rename(tmp_path / "ig_resnext101_32x8-c38310e5.pth")
    with pytest.raises(DataError, match=r"its name says c38310e5: damaged"):
        read_weights(str(wrong))


def test_an_address_is_asked_once_where_the_name_holds_a_hash(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HASHNEXT_HOME", str(tmp_path / "home"))
    (tmp_path / "web").mkdir()
    name = Path(hashed(tmp_path / "web", "ig_resnext101_32x8", state)).name
    saved(tmp_path / "web" / "weights.pth", state)
    with served(tmp_path / "web") as (address, asked):
        for path in (name, name, "weights.pth", "weights.pth"):
            weights = read_weights(f"{address}/{path}?token=1")
            assert weights.source == f"{address}/{path}"
            assert weights.state.keys() == state.keys()
        assert [path.strip("/").partition("?")[0] for path in asked] == [name] + ["weights.pth"] * 2
        kept = tmp_path / "home" / "weights"
        assert sorted(each.name for each in kept.iterdir()) == [name, "weights.pth"]
        (kept / name).write_bytes(b"damaged on the disk")
        assert read_weights(f"{address}/{name}").licence == NON_COMMERCIAL
        assert asked[-1] == f"/{name}"


def test_a_failed_download_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASHNEXT_HOME", str(tmp_path / "home"))
    (tmp_path / "other-00000000.pth").write_bytes(b"something else")
    with served(tmp_path) as (address, _):
        with pytest.raises(DataError, match="there is no such file"):
            read_weights(f"{address}/absent.pth")
        with pytest.raises(DataError, match="its name says 00000000"):
            read_weights(f"{address}/other-00000000.pth")
    with pytest.raises(DataError, match="cannot be fetched"):
        read_weights(f"{address}/weights.pth")
    assert list((tmp_path / "home" / "weights").iterdir()) == []


def test_a_state_dict_is_not_changed_in_place(state: State) -> None:
    names = list(without_counters(state))
    given = without_counters(state)
    plain(given)
    assert list(given) == names


def test_timms_networks_are_loaded_as_they_are(tmp_path: Path) -> None:
    torch.manual_seed(1)
    theirs = ResNet(Bottleneck, (1, 2, 1, 1), LABELS, cardinality=2, base_width=3).eval()
    found = read_weights(saved(tmp_path / "timm.pth", theirs.state_dict()))
    assert (found.config, found.num_labels) == (CONFIG, LABELS)
    images = torch.randn(3, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(network_of(found).eval()(images), theirs(images))
