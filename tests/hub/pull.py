"""Pull a model with the real clients, in a process of its own: python -m tests.hub.pull REPO [REVISION...].

Prints {loader: {picture: {emotion: probability}}} as a line of JSON for the default branch and for each revision.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import timm
import torch
from huggingface_hub import hf_hub_download
from transformers import AutoImageProcessor, AutoModelForImageClassification, pipeline

from train.agreement import sample_pictures


def pull(repo_id, revision=None):
    at = f"@{revision}" if revision else ""
    options = {"revision": revision} if revision else {}
    model = timm.create_model(f"hf-hub:{repo_id}{at}", pretrained=True).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    names = model.pretrained_cfg["label_names"]
    classify = pipeline("image-classification", model=repo_id, top_k=7, **options)
    processor = AutoImageProcessor.from_pretrained(repo_id, **options)
    wrapped = AutoModelForImageClassification.from_pretrained(repo_id, **options).eval()
    session = onnxruntime.InferenceSession(hf_hub_download(repo_id, "onnx/model.onnx", **options))
    answers = {"timm": {}, "pipeline": {}, "transformers": {}, "onnxruntime": {}}
    for kind, picture in sample_pictures().items():
        pixels = transform(picture)[None]
        with torch.inference_mode():
            answers["timm"][kind] = dict(zip(names, model(pixels).softmax(1)[0].tolist(), strict=True))
            scores = wrapped(**processor(picture, return_tensors="pt")).logits.softmax(1)[0].tolist()
        answers["transformers"][kind] = {wrapped.config.id2label[i]: score for i, score in enumerate(scores)}
        answers["pipeline"][kind] = {row["label"]: row["score"] for row in classify(picture)}
        logits = session.run(["logits"], {"pixel_values": pixels.numpy()})[0][0].astype(float)
        scores = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        answers["onnxruntime"][kind] = dict(zip(names, scores.tolist(), strict=True))
    print(json.dumps(answers))


if __name__ == "__main__":
    assert not list(Path(os.environ["HF_HOME"]).glob("hub/models*")), "the cache should be empty"
    for revision in (None, *sys.argv[2:]):
        pull(sys.argv[1], revision)
