"""A model folder without an ONNX file, run by timm. Imported only then: it needs torch."""

import hashlib

import timm
import torch

from space.classifier import Classifier, ModelError


class TimmClassifier(Classifier):
    """`model.safetensors` in timm on the CPU; the class activation map where the network ends in pool and linear."""

    runtime = "timm on PyTorch"

    def __init__(self, folder):
        super().__init__(folder)
        weights = self.folder / "model.safetensors"
        if not weights.is_file():
            raise ModelError(f"{folder} has neither onnx/model.onnx nor model.safetensors (pickles are not loaded)")
        self.sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
        self.model = timm.create_model(f"local-dir:{self.folder}", pretrained=True).float().eval()

    @torch.inference_mode()
    def run(self, pixel_values):
        features = self.model.forward_features(torch.from_numpy(pixel_values))
        logits = self.model.forward_head(features)
        head = self.model.get_classifier()
        cam = None
        if isinstance(head, torch.nn.Linear) and features.ndim == 4 and features.shape[1] == head.in_features:
            cam = torch.nn.functional.conv2d(features, head.weight[:, :, None, None]).numpy()
        return logits.numpy(), cam
