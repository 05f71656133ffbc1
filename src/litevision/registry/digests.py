"""Full sha256 and sizes of weight files, where their publishers give less.

A sha256 stands here only where at least two unrelated public projects pin the same one for the file, and where it
begins with the digits in the file's name, if it has any. A size stands here where such a pin, or the download from the
publisher itself, gives it in bytes. A file without a sha256 here is "unchecked": it is compared with what its publisher
gives, and fetched only where that is asked for.
"""

# fmt: off
SHA256 = {
    # weight set                               sha256
    "mobilenet_v2.tv_in1k_v1":                 "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
    "mobilenet_v2.tv_in1k_v2":                 "7ebf99e03e254b273379b23edca7ec0da9f48273b23a332b93c1c99d49e86e8f",
    "mobilenet_v2.keras_in1k_a100_r224_notop": "f8aff69536bd77a692c594f559c798c19bf7f3f36668fc9fa00b21c6aab4797c",
    "mobilenet_v3_large.tv_in1k_v1":           "8738ca797c879b547d18bbd15da5736ff2557b2036a9af72225393ca61759a04",
    "mobilenet_v3_large.tv_in1k_v2":           "5c1a416349c4cf298f2a6a5e2600ed0ee55e604713578f5e74e6bc8bcaef7997",
    "mobilenet_v3_large.timm_ra_in1k":         "f425af34cc1cead2b5d6211f789a1f30b94835dc32f9c0fcc5a916e4fd2dde85",
    "mobilenet_v3_small.tv_in1k_v1":           "047dcff4addef86ea5bc2eff13c9614dc11f47ab1160d0a71a25e7db994f4e1f",
    "mobilenet_v3_small.timm_lamb_in1k":       "46d2c063b18125884c48937afa4c49e18128869e52e8db96df48bf0a4d7ff697",
    "nanodet_plus_m.rangilyu_coco_r416":       "59d2f166088889c902f523bf08079391993491324f0d84847e3c4016a8f7cc3d",
}

NUM_BYTES = {
    # weight set                                       bytes
    "mobilenet_v1.keras_in1k_a100_r224_notop":       17_225_924,
    "mobilenet_v2.tv_in1k_v2":                       14_258_573,
    "mobilenet_v2.keras_in1k_a100_r224":             14_536_120,
    "mobilenet_v2.keras_in1k_a100_r224_notop":        9_406_464,
    "mobilenet_v2.keras_in1k_a100_r128_notop":        9_406_464,
    "mobilenet_v2.keras_in1k_a100_r96_notop":         9_406_464,
    "mobilenet_v3_large.tv_in1k_v1":                 22_139_423,
    "mobilenet_v3_large.tv_in1k_v2":                 22_132_113,
    "mobilenet_v3_large.timm_ra_in1k":               22_058_321,
    "mobilenet_v3_large.keras_in1k_a100_r224_notop": 12_683_000,
    "mobilenet_v3_small.tv_in1k_v1":                 10_306_551,
    "mobilenet_v3_small.timm_lamb_in1k":             10_241_912,
    "mobilenet_v3_small.keras_in1k_a100_r224_notop":  4_334_752,
}
# fmt: on
