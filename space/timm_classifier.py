"""A model folder without an ONNX file, run by timm. Imported only then: it needs torch."""

import hashlib

import timm
import torch
from safetensors import SafetensorError

from space.classifier import Classifier, ModelError


class TimmClassifier(Classifier):
    """`model.safetensors` in timm on the CPU; `ModelError` for a folder that can't be run.

    There is a class activation map where the network ends in an average pool and a linear layer.
    """

    runtime = "timm on PyTorch"

    def __init__(self, folder):
        super().__init__(folder)
        weights = self.folder / "model.safetensors"
        if not weights.is_file():
            raise ModelError(f"{folder} has neither onnx/model.onnx nor model.safetensors (pickles are not loaded)")
        self.sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
        channels = self.config.input_size[0]
        try:
            model = timm.create_model(f"local-dir:{self.folder}", pretrained=True, in_chans=channels)
        except (RuntimeError, SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"{weights} can't be loaded as {self.config.architecture}: {reason}") from error
        self.model = model.float().eval()
        self.has_cam = self.cam_explains_logits()

    @torch.inference_mode()
    def cam_explains_logits(self):
        """Whether the mean of the map, with the bias, gives the logits: not so after a norm or another pooling."""
        probe = torch.randn(2, *self.config.input_size, generator=torch.Generator().manual_seed(0))
        features = self.model.forward_features(probe)
        logits = self.model.forward_head(features)
        if logits.ndim != 2 or logits.shape[1] != len(self.label_names):
            raise ModelError(
                f"{self.folder}: {logits.shape[-1]} logits for {len(self.label_names)} label_names in config.json"
            )
        head = self.model.get_classifier()
        if not isinstance(head, torch.nn.Linear) or features.ndim != 4 or features.shape[1] != head.in_features:
            return False
        bias = 0.0 if head.bias is None else head.bias
        return torch.allclose(self.cam(features).mean((2, 3)) + bias, logits, rtol=1e-3, atol=1e-3)

    def cam(self, features):
        return torch.nn.functional.conv2d(features, self.model.get_classifier().weight[:, :, None, None])

    @torch.inference_mode()
    def run(self, pixel_values):
        features = self.model.forward_features(torch.from_numpy(pixel_values))
        logits = self.model.forward_head(features)
        return logits.numpy(), self.cam(features).numpy() if self.has_cam else None
