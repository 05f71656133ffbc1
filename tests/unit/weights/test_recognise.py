"""A published file given by path is its set, by its digest or its name; what is assumed of another is said."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from litevision.errors import WeightsMismatchError
from litevision.image import Preprocess
from litevision.models import build, configure
from litevision.registry import weight_sets as registry
from litevision.registry.weight_sets import find_weight_set
from litevision.runtime import Normalisation
from litevision.runtime.metadata import NORMALISATIONS
from litevision.weights import recognise as module
from litevision.weights.load import Loaded, load_weights
from litevision.weights.recognise import likely_variant, recognise
from litevision.weights.save import save_weights
from networks import SHORT_ROWS

IMAGENET, HALF, UNIT = (NORMALISATIONS[name] for name in ("imagenet", "half", "unit"))


def saved(path: Path, name: str, dialect: str, *, width_mult: float = 1.0, layout: str = "timm") -> Path:
    """A file of random weights in their origin's own names, as somebody has downloaded it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_weights(build(configure(name, dialect=dialect, width_mult=width_mult)), path, layout)


def loaded_form(loaded: Loaded) -> tuple[str, Normalisation, str, int]:
    facts = loaded.network.pretrained
    assert facts is not None
    return (
        loaded.network.config.dialect,
        facts.normalisation,
        facts.preprocess.interpolation,
        facts.preprocess.resize_px,
    )


@pytest.mark.parametrize(
    ("file", "weight_set"),
    [
        ("tf_mobilenetv3_small_100-37f49e2b.safetensors", "mobilenet_v3_small.timm_tf_in1k"),
        ("tf_mobilenetv3_small_100-427764d5 (1).pth", None),  # another network's digits
        ("tf_mobilenetv3_small_100.in1k.safetensors", "mobilenet_v3_small.timm_tf_in1k"),
        ("mobilenet_v3_small.timm_tf_in1k.pth", "mobilenet_v3_small.timm_tf_in1k"),
        ("MobileNet_V2-7ebf99e0 (1).pth", "mobilenet_v2.tv_in1k_v2"),
        ("mobilenet_7_5_192_tf.h5", "mobilenet_v1.keras_in1k_a075_r192"),
        ("weights_mobilenet_v3_small_224_0.75_float.h5", "mobilenet_v3_small.keras_in1k_a075_r224"),
        ("models--timm--mobilenetv2_100.ra_in1k/snapshots/0/model.safetensors", "mobilenet_v2.timm_ra_in1k"),
        ("timm/mobilenetv1_125.ra4_e3600_r224_in1k/pytorch_model.bin", "mobilenet_v1.timm_ra4_e3600_r224_in1k_w125"),
        ("model.safetensors", None),
        ("mobilenet_v2.pth", None),
        ("best.pth", None),
    ],
)  # fmt: skip
def test_a_file_name_tells_its_set(file: str, weight_set: str | None, tmp_path: Path) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no weights")
    found = recognise(path)
    assert (found.weight_set.name if found else None) == weight_set
    assert found is None or found.by == "name"


def test_every_published_name_is_its_own_set(tmp_path: Path) -> None:
    for row in registry.weight_sets():
        path = tmp_path / row.name
        path.write_bytes(row.name.encode())
        found = recognise(path)
        assert found is not None
        assert found.weight_set == row


@pytest.mark.parametrize("kind", ["sha256", "hash_prefix", "mirror", "md5"])
def test_a_digest_tells_a_file_of_any_name(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path / ("mine.h5" if kind == "md5" else "mine.pth"), "mobilenet_v3_small",
                 "keras" if kind == "md5" else "timm_tf", layout="keras" if kind == "md5" else "timm")  # fmt: skip
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    row = find_weight_set("mobilenet_v3_small.keras_in1k_a100_r224" if kind == "md5" else "tf_mobilenetv3_small_100")
    told = {
        "sha256": {"sha256": sha256},
        "hash_prefix": {"hash_prefix": sha256[:8]},
        "mirror": {"mirrors": (f"https://example.com/x-{sha256[:8]}.pth",)},
        "md5": {"md5": hashlib.md5(path.read_bytes()).hexdigest()},
    }[kind]
    published = replace(row, **told)
    monkeypatch.setattr(module, "weight_sets", lambda: (published,))
    loaded = load_weights(path)
    assert loaded.source.weight_set == published
    assert loaded_form(loaded) == (row.dialect, HALF, "bilinear", 256)
    assert loaded.network.pretrained is not None
    assert (loaded.network.pretrained.name, loaded.network.pretrained.licence) == (row.name, "Apache-2.0")
    line = f"taken for {row.name} by its digest: dialect {row.dialect}, and its preprocessing"
    assert line in capsys.readouterr().err
    with pytest.raises(WeightsMismatchError, match=f"is {re.escape(row.name)}, which holds .*got dialect 'timm'"):
        load_weights(path, dialect="timm")


def test_a_size_tells_a_set_without_a_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "mine.h5", "mobilenet_v1", "keras", width_mult=0.25, layout="keras")
    row = find_weight_set("mobilenet_v1.keras_in1k_a025_r128")
    assert row.sha256 is None
    rows = [replace(row, num_bytes=path.stat().st_size), replace(row, name="another", num_bytes=1)]
    monkeypatch.setattr(module, "weight_sets", lambda: tuple(rows))
    loaded = load_weights(path)
    facts = loaded.network.pretrained
    assert facts is not None
    assert facts.preprocess == Preprocess((128, 128), 146, "center", "bilinear")
    # Only the size agrees: no score, no licence and no address are claimed.
    assert (loaded.source.weight_set, facts.name, facts.licence, facts.score) == (None, "mine.h5", "unknown", None)
    rows[1] = replace(rows[1], num_bytes=rows[0].num_bytes)  # two sets of one size
    assert recognise(path) is None


@pytest.mark.parametrize(
    ("file", "name", "dialect", "expected", "said"),
    [
        ("tf_mobilenetv3_small_100-37f49e2b.pth", "mobilenet_v3_small", "timm_tf", ("timm_tf", HALF, "bilinear", 256),
         r"taken for mobilenet_v3_small\.timm_tf_in1k by its name: dialect timm_tf, .* --dialect, --normalisation"),
        ("tf_mobilenetv3_small_100-mine.pth", "mobilenet_v3_small", "timm_tf", ("timm_tf", HALF, "bilinear", 256),
         r"dialects timm_tf, timm store .* taken for timm_tf by its name. 'litevision export --dialect timm' chooses"),
        ("mine.pth", "mobilenet_v3_small", "timm", ("timm", IMAGENET, "bicubic", 256),
         r"the dialects timm, timm_tf store .* taken for timm. 'litevision export --dialect timm_tf' chooses"),
        ("mine.pth", "mobilenet_v3_large", "timm", ("timm", IMAGENET, "bilinear", 256),
         r"normalisation is not known: imagenet was taken, .* published with half and unit too. "
         r"'litevision export --normalisation half' chooses"),
        ("mobilenetv3_large_100.miil_in21k_ft_in1k.pth", "mobilenet_v3_large", "timm", ("timm", UNIT, "bilinear", 256),
         r"taken for mobilenet_v3_large.timm_miil_in21k_ft_in1k by its name"),
        ("mobilenetv3_large_100.ra4_e3600_r224_in1k.pth", "mobilenet_v3_large", "timm", ("timm", HALF, "bicubic", 235),
         r"taken for mobilenet_v3_large.timm_ra4_e3600_r224_in1k by its name"),
        ("mine.pth", "mobilenet_v1", "timm", ("timm", HALF, "bicubic", 256), ""),
        ("mine.pth", "mobilenet_v2", "timm", ("timm", IMAGENET, "bicubic", 256), ""),
    ],
)  # fmt: skip
def test_what_is_assumed_of_a_file_is_said(
    file: str,
    name: str,
    dialect: str,
    expected: tuple[str, Normalisation, str, int],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = saved(tmp_path / file, name, dialect)
    assert loaded_form(load_weights(path)) == expected
    err = capsys.readouterr().err
    assert re.search(said, err) if said else not err


def test_what_is_given_is_not_doubted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path / "tf_mobilenetv3_large_100-427764d5.pth", "mobilenet_v3_large", "timm_tf")
    loaded = load_weights(path, dialect="timm", normalisation=UNIT)
    assert loaded_form(loaded) == ("timm", UNIT, "bilinear", 256)
    assert capsys.readouterr().err == ""


def test_the_longest_network_name_counts(tmp_path: Path) -> None:
    variant = likely_variant(tmp_path / "tf_mobilenetv3_small_minimal_100-922a7843-mine.pth")
    assert variant is not None
    assert (variant.architecture, variant.dialect) == ("mobilenet_v3_small_minimalistic", "timm_tf")
    assert likely_variant(tmp_path / "mobilenetv2x.pth") is None


def test_a_file_of_litevisions_own_says_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = configure("mobilenet_v2", dialect="torchvision", rows=SHORT_ROWS["mobilenet_v2"])
    path = save_weights(build(config), tmp_path / "mobilenet_v2-7ebf99e0.safetensors")
    loaded = load_weights(path)
    assert loaded.network.config == config
    assert (loaded.source.recognised, capsys.readouterr().err) == (None, "")
