"""The page and the app on the same photographs: the same faces, boxes, crops, and probabilities within 0.02."""

import json

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from space.analysis import Analyzer
from space.photo_tab import EXAMPLES
from tests.static.conftest import show

PROBABILITY = 0.02  # the most by which the page may differ from the app
GREY_LEVELS = 3.0  # in the mean over a crop: JPEG decoders differ by a level or two, boxes by fractions of a pixel

CROP = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return [...data].filter((_, index) => index % 4 === 0);
}"""


@pytest.fixture(scope="module")
def analyzer(model_folder, yunet_path):
    return Analyzer.load(str(model_folder), str(yunet_path))


@pytest.fixture(scope="module")
def photographs(portrait, two_faces, tmp_path_factory):
    """{what it is for: path}."""
    folder = tmp_path_factory.mktemp("photographs")
    found = {"as it is": EXAMPLES[0], "another": EXAMPLES[1], "two faces": two_faces}
    with Image.open(portrait) as face:
        large = face.resize((3584, 4200), Image.Resampling.BICUBIC)  # 15 megapixels: reduced as it is decoded
        large.save(folder / "large.jpg", quality=90)
        exif = Image.Exif()
        exif[0x0112] = 6
        turned = face.resize((1100, 1289)).transpose(Image.Transpose.ROTATE_90)
        turned.save(folder / "lying.jpg", quality=92, exif=exif)
        face.crop((170, 105, 365, 345)).save(folder / "close.png")  # fills the frame: found by the second search
        face.rotate(-25, Image.Resampling.BICUBIC, expand=True, fillcolor=(90, 90, 90)).save(folder / "tilted.webp")
        face.crop((200, 60, 512, 600)).save(folder / "cut.png")  # the face at the border, which is repeated
        clear = face.convert("RGBA")
        clear.putalpha(Image.linear_gradient("L").resize(face.size))
        clear.save(folder / "clear.png")
        face.convert("L").save(folder / "grey.png")
    return found | {path.stem: path for path in sorted(folder.iterdir())}


def test_every_photograph_gets_the_same_answer(page, analyzer, photographs):
    worst, faces = 0.0, 0
    for name, path in photographs.items():
        _, expected = analyzer.analyse_file(path)
        show(page, path)
        found = json.loads(page.locator(".fer-result").get_attribute("data-result"))["faces"]
        assert len(found) == len(expected.faces) >= 1, name
        crops = page.locator(".fer-crop canvas")
        for index, (mine, theirs) in enumerate(zip(found, expected.as_json()["faces"], strict=True)):
            assert np.abs(np.subtract(mine["box"], theirs["box"])).max() <= max(2, expected.size[0] / 300), name
            crop = np.reshape(crops.nth(index).evaluate(CROP), (48, 48))
            levels = np.abs(crop - expected.faces[index].crop.astype(float)).mean()
            assert levels <= GREY_LEVELS, (name, levels)
            differences = [abs(mine["probabilities"][label] - p) for label, p in theirs["probabilities"].items()]
            assert max(differences) <= PROBABILITY, (name, differences)
            worst, faces = max(worst, *differences), faces + 1
    print(f"{faces} faces in {len(photographs)} photographs: probabilities differ by {worst:.4f} at most")


def test_a_picture_without_a_face_can_be_taken_as_one(page, analyzer, portrait, tmp_path):
    with Image.open(portrait) as face:
        face.crop((300, 380, 500, 600)).save(tmp_path / "chest.png")
    assert not analyzer.analyse_file(tmp_path / "chest.png")[1].faces
    show(page, tmp_path / "chest.png")
    expect(page.locator("#result")).to_contain_text("No face was found")
    page.locator("#whole").click()
    expect(page.locator("#result .fer-bars tbody tr")).to_have_count(7)
    (mine,) = json.loads(page.locator(".fer-result").get_attribute("data-result"))["faces"]
    (theirs,) = analyzer.analyse_file(tmp_path / "chest.png", whole=True)[1].as_json()["faces"]
    assert mine["box"] == theirs["box"]
    assert mine["probabilities"] == pytest.approx(theirs["probabilities"], abs=PROBABILITY)
