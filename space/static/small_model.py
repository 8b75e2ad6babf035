"""The model's ONNX file with its large weights as int8: about half the bytes to load, computed in float32 as before.

Only what is stored is rounded. Each output channel of a large tensor has a scale of its own; ONNX Runtime multiplies
it back once, when the session is made. Small tensors (the stem, the depthwise filters, the first blocks) stay in fp16:
they are a twentieth of the numbers and most of the error.
`python -m benchmarks.static` says what this costs on PublicTest.
"""

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

LEAST_WEIGHTS = 20_000  # of a tensor that becomes int8
CLIPPING = np.linspace(0.7, 1.0, 7)  # shares of a channel's largest weight that are tried as its range


def quantised(weights):
    """(int8, float32 scales) of float32 `weights` [channels, ...], the scales [channels, 1, ...].

    Of the ranges in `CLIPPING` each channel takes the one with the least squared error.
    """
    rows = weights.reshape(len(weights), -1)
    largest = np.maximum(np.abs(rows).max(1, keepdims=True), 1e-12)
    scales = [(largest * share / 127).astype(np.float32) for share in CLIPPING]
    integers = [np.clip(np.round(rows / scale), -127, 127) for scale in scales]
    errors = [((q * scale - rows) ** 2).sum(1) for q, scale in zip(integers, scales, strict=True)]
    best = np.argmin(errors, 0)
    channels = np.arange(len(rows))
    q = np.stack(integers)[best, channels].astype(np.int8).reshape(weights.shape)
    return q, np.stack(scales)[best, channels].reshape(-1, *[1] * (weights.ndim - 1))


def check_logits(model_bytes, input_size):
    """What the model says to a fixed input [1, *input_size], for the page to compare: see `check` in src/runtime.ts."""
    values = (np.arange(np.prod(input_size)) * 7919 % 256 / 128 - 1).astype(np.float32)
    session = onnxruntime.InferenceSession(model_bytes, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {session.get_inputs()[0].name: values.reshape(1, *input_size)})
    return logits[0].tolist()


def with_int8_weights(model_bytes, least_weights=LEAST_WEIGHTS):
    """The ONNX model `model_bytes` with every weight tensor of at least `least_weights` numbers stored as int8.

    Inputs, outputs and everything else are as before. Takes float32 initializers, and fp16 ones behind a Cast.
    """
    model = onnx.load_from_string(model_bytes)
    graph = model.graph
    casts = {node.input[0]: node for node in graph.node if node.op_type == "Cast"}
    kept, added = [], []
    for tensor in graph.initializer:
        numbers = int(np.prod(tensor.dims))
        is_weight = tensor.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16) and len(tensor.dims) > 1
        if not is_weight or numbers < least_weights:
            kept.append(tensor)
            continue
        q, scale = quantised(numpy_helper.to_array(tensor).astype(np.float32))
        name = tensor.name
        kept += [numpy_helper.from_array(q, f"{name}_int8"), numpy_helper.from_array(scale, f"{name}_scale")]
        output = casts.pop(name).output[0] if name in casts else name
        added.append(helper.make_node("Cast", [f"{name}_int8"], [f"{name}_float"], to=onnx.TensorProto.FLOAT))
        added.append(helper.make_node("Mul", [f"{name}_float", f"{name}_scale"], [output]))
    there = {tensor.name for tensor in kept}
    nodes = [node for node in graph.node if node.op_type != "Cast" or node.input[0] in casts or node.input[0] in there]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(added + nodes)
    onnx.checker.check_model(model)
    return model.SerializeToString()
