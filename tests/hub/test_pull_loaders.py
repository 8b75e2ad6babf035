"""Through a broken connection timm and transformers still pull whole weights, and the app answers as they do."""

import json
import subprocess
import sys

import numpy as np
import pytest
from huggingface_hub import HfApi, constants
from PIL import Image

from hub.commit import commit_files

REPOSITORY = "user/loaders"
LOADERS = """
import json, sys, timm, torch
from PIL import Image
from transformers import pipeline
model = timm.create_model("hf-hub:user/loaders@v1", pretrained=True).eval()
transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
classify = pipeline("image-classification", model="user/loaders", revision="v1", top_k=7)
answers = {}
for name in sys.argv[1:]:
    picture = Image.open(name).convert("RGB")
    with torch.inference_mode():
        probabilities = model(transform(picture)[None]).softmax(1)[0].tolist()
    answers[name] = [
        dict(zip(model.pretrained_cfg["label_names"], probabilities)),
        {row["label"]: row["score"] for row in classify(name)},
    ]
print(json.dumps(answers))
"""


@pytest.fixture
def pictures(tmp_path):
    """A grey and a colour picture of FER-2013's size: where nothing is cut out, every loader sees the same."""
    coarse = np.random.default_rng(3).integers(0, 256, (6, 6, 3), np.uint8)
    colour = Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC)
    colour.save(tmp_path / "colour.png")
    colour.convert("L").save(tmp_path / "grey.png")
    return [str(tmp_path / "grey.png"), str(tmp_path / "colour.png")]


def test_every_loader_and_the_app_pull_the_same_through_cut_connections(
    hub, random_model_folder, pictures, repository, tmp_path, monkeypatch
):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the stand-in knows LFS alone
    files = {p.relative_to(random_model_folder).as_posix(): p for p in random_model_folder.rglob("*") if p.is_file()}
    commit_files(REPOSITORY, files, message="v1", tag="v1", api=HfApi(endpoint=hub.url, token="hf_standin"))
    hub.faults(
        {"match": "GET .*model.safetensors", "times": 2, "cut": 4_000_000},
        {"match": "GET .*model.onnx", "times": 2, "cut": 4_000_000},
        {"match": "GET .*config.json", "times": 1, "delay": 2},
    )

    def child(*command):
        environment = hub.environment(tmp_path / "home") | {"FER_MODEL": f"{REPOSITORY}@v1", "FER_DETECTOR": "haar"}
        done = subprocess.run(
            [sys.executable, *command, *pictures], cwd=repository, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done

    loaders = json.loads(child("-c", LOADERS).stdout.splitlines()[-1])
    app = child("-m", "space.predict", "--whole", "--json").stdout.splitlines()
    log = [line for line in hub.call("/_log") if REPOSITORY in line]
    assert sum("GET" in line and "model.safetensors" in line for line in log) == 3  # two broken, one to the end
    for line, picture in zip(app, pictures, strict=True):
        timm, pipeline = loaders[picture]
        served = json.loads(line)["faces"][0]["probabilities"]
        assert pipeline == pytest.approx(timm, abs=1e-3)
        # the app rounds a colour picture's luminance to 8 bits, as FER-2013's pictures are
        assert served == pytest.approx(timm, abs=1e-3 if "grey" in picture else 2e-2)
    values = loaders[pictures[0]][0].values()
    assert max(values) - min(values) > 0.02
