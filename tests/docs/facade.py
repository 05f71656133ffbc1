"""The public face as users type it: run and type-checked, in a folder as the pages have it."""

import litevision as lv

classifier = lv.load_classifier("clothing")
found = classifier.predict("examples/dress.jpg", top=5)
labels, best = found.labels, found[0].score
record, text = found.to_dict(), found.to_json()
found.plot().save("named.png")
assert (labels[0], len(found), len(found.top(2)), found.scores.shape) == ("dress", 5, 2, (5,))
assert [len(each) for each in classifier.predict_batch(["examples/dress.jpg"] * 3, top=1)] == [1, 1, 1]
paths = ["examples/dress.jpg", "nowhere.jpg"]
for result in classifier.stream(paths, on_error="keep"):
    assert result.error is None or result.source == "nowhere.jpg"

detector = lv.load_detector("blood-cells")
cells = detector.predict("examples/blood.jpg")
cells[cells.scores > 0.5].plot().save("out.png")
assert cells.xyxy.shape == (len(cells), 4)
assert sum(cells.counts().values()) == len(cells.to_dict()["detections"]) == len(cells.to_coco(7))

assert lv.classify("examples/elephant.jpg", top=1).labels == ("African_elephant",)
assert len(lv.detect("examples/blood.jpg", tiles=2)) > 0
assert lv.check_data("clothes").ok

lr = {"optimizer.lr": 1e-3}
run = lv.train("clothes/", model="mobilenet_v2", weights="clothing", epochs=1, size=64, settings=lr, quiet=True)
assert run.bundle.is_file()
assert run.report.is_file()
assert 0 <= run.metrics["top1"] <= 100
assert len(run.results["epochs"]) == 1
again = lv.create.from_run(run.folder)
assert again.config == run.network.config
scores = lv.evaluate(run, "clothes/")
assert lv.load_classifier(run).predict("examples/dress.jpg").labels[0] in {"hat", "pants", "shoes"}

network = lv.create("mobilenet_v2", weights="clothing", num_classes=10)
assert network.pretrained is not None
transform = network.pretrained.transform(train=True)
lv.export(network, "model2.onnx", labels=[f"class {number}" for number in range(10)])
assert lv.info("mobilenet_v2", size=96).macs > 0
print(network.pretrained.preprocess.size_hw, network.pretrained.labels, network.pretrained.licence)

centernet = lv.create("centernet", backbone="mobilenet_v2", dialect="tutorial", neck="reshape", num_classes=10)
assert sum(it.numel() for it in centernet.parameters()) == 4_314_190
assert centernet.config.num_classes == 10
assert [row.name for row in lv.list_models("center*")] == ["centernet"]
