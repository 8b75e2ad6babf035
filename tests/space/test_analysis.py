"""Picture to answer, with the embedded model: from Python, from the command line, on a video."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from types import SimpleNamespace

import av
import httpx2
import numpy as np
import pytest
from PIL import Image, ImageColor

from space.about import read_metrics
from space.analysis import Analyzer, within
from space.classifier import ModelError
from space.detectors import YuNet, find_detector
from space.emotions import colours_of
from space.limits import Limits
from space.occlusion import occlusion_map
from space.predict import predict
from space.text import Refusal
from space.video import analyse_video, upright
from tests.films import write_film


def test_a_portrait_has_one_face(analyzer, portrait):
    picture, analysis = analyzer.analyse_file(portrait)
    (face,) = analysis.faces
    assert analysis.size == picture.size == (512, 600)
    assert face.crop.shape == (48, 48)
    assert face.probabilities.sum() == pytest.approx(1, abs=1e-5)
    x, y, width, height = face.box
    assert 120 < x + width / 2 < 360 and 80 < y + height / 2 < 320  # where the face is in this portrait


def test_the_heat_map_adds_up_to_the_answer(analyzer, portrait):
    """logits = mean(cam) + bias, so differences of mean(cam) between two faces are differences of logits."""
    _, analysis = analyzer.analyse_file(portrait)
    crop = analysis.faces[0].crop
    logits, cam = analyzer.classifier.run(analyzer.classifier.pixel_values([crop, 255 - crop]))
    np.testing.assert_allclose(np.diff(logits, axis=0), np.diff(cam.mean((2, 3)), axis=0), atol=1e-3)


def test_occlusion_of_a_flat_crop_changes_nothing(analyzer):
    drops = occlusion_map(analyzer.classifier, np.full((48, 48), 99, np.uint8), 0)
    assert drops.shape == (8, 8)
    np.testing.assert_allclose(drops, 0, atol=1e-5)


def test_the_occlusion_map_names_the_cell_that_mattered():
    class Watcher:
        """Sure of class 1 as long as a pixel of row 2, column 5 of the 8 x 8 cells is bright."""

        def predict(self, crops):
            return SimpleNamespace(probabilities=np.array([[0.5, 0.4 + 0.5 * (crop[15, 33] > 200)] for crop in crops]))

    crop = np.full((48, 48), 20, np.uint8)
    crop[15, 33] = 255
    drops = occlusion_map(Watcher(), crop, 1)
    assert drops[2, 5] == drops.max() == pytest.approx(0.5)
    assert {tuple(cell) for cell in np.argwhere(drops > 0)} <= {(r, c) for r in (1, 2, 3) for c in (4, 5, 6)}


def test_yunet_finds_eyes_and_faces_that_fill_the_frame(yunet_path, portrait):
    detector = YuNet(yunet_path)
    with Image.open(portrait) as image:
        (face,) = detector.detect(image)
        x, y, width, height = (round(v) for v in face.box)
        (left, right) = face.eyes
        assert x < left[0] < right[0] < x + width
        close = image.crop((x, y, x + width, y + height)).resize((1600, round(1600 * height / width)))
        assert len(detector.detect(close)) == 1


def test_forty_faces(yunet_path, model_folder, portrait):
    crowd = Image.new("RGB", (8 * 150, 5 * 176))
    with Image.open(portrait) as image:
        small = image.resize((150, 176), Image.Resampling.LANCZOS)
    for place in range(40):
        crowd.paste(small, (place % 8 * 150, place // 8 * 176))
    data = io.BytesIO()
    crowd.save(data, "PNG")
    analyzer = Analyzer.load(str(model_folder), str(yunet_path))
    assert len(analyzer.analyse_file(data.getvalue())[1].faces) == 40


def test_detector_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match="FER_DETECTOR=/nowhere"):
        find_detector("/nowhere")


@pytest.mark.parametrize("error", [OSError("no network"), httpx2.RemoteProtocolError("cut off")])
def test_without_a_hub_the_cascade_says_so(error, monkeypatch, caplog):
    monkeypatch.delenv("FER_DETECTOR", raising=False)

    def unreachable(*_, **options):
        raise OSError("not in the cache") if options.get("local_files_only") else error

    monkeypatch.setattr("space.detectors.hf_hub_download", unreachable)
    assert find_detector().name == "Haar cascade"
    assert f"YuNet could not be fetched ({type(error).__name__})" in caplog.text


def test_a_file_that_is_no_yunet_is_named(tmp_path):
    (tmp_path / "yunet.onnx").write_bytes(b"something else")
    with pytest.raises(OSError, match=r"yunet\.onnx is not YuNet as ONNX, or not whole"):
        find_detector(str(tmp_path / "yunet.onnx"))


def test_another_network_is_no_yunet(model_folder):
    with pytest.raises(OSError, match=r"model\.onnx is not YuNet as ONNX, or not whole"):
        find_detector(str(model_folder / "onnx" / "model.onnx"))


def test_a_forged_yunet_is_refused_and_removed(monkeypatch, tmp_path):
    forged = tmp_path / "yunet.onnx"
    forged.write_bytes(b"something else")
    monkeypatch.delenv("FER_DETECTOR", raising=False)
    monkeypatch.setattr("space.detectors.hf_hub_download", lambda *_, **__: str(forged))
    assert find_detector().name == "Haar cascade"
    assert not forged.exists()


def lower_edge(box):
    """The pixel in the middle of a drawn box's lower line."""
    x, y, width, height = box
    return round(x + width / 2), round(y + height - 1)


def colour_of(emotion, labels):
    return ImageColor.getrgb(colours_of(list(labels))[emotion].dark)


def test_python_and_the_command_agree(repository, child_environment, model_folder, portrait, tmp_path):
    environment = child_environment | {"FER_DETECTOR": "haar"}

    def command(*arguments, expect=0):
        done = subprocess.run(
            [sys.executable, "-m", "space.predict", *arguments],
            cwd=repository, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == expect, done.stderr
        return done.stdout

    answer = json.loads(command(portrait, "--json", "--annotate", str(tmp_path)))
    expected = predict(portrait, model=str(model_folder), detector="haar")
    assert answer["faces"] == expected["faces"]
    assert answer["model"]["sha256"] == expected["model"]["sha256"]
    (face,) = answer["faces"]
    with Image.open(tmp_path / "grace_hopper.png") as drawn:
        assert drawn.size == (512, 600)
        assert drawn.getpixel(lower_edge(face["box"])) == colour_of(face["emotion"], face["probabilities"])

    def said(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "space.predict", *arguments],
            cwd=repository, env=environment | {"PYTHONIOENCODING": "utf-8:strict"}, capture_output=True,
        )  # fmt: skip
        assert done.returncode == 1 and b"Traceback" not in done.stderr, done.stderr
        return done

    strange = os.fsencode(tmp_path) + b"/caf\xe9.png"
    shutil.copy(portrait, strange)
    done = said(strange, str(tmp_path), "--annotate", str(tmp_path / "drawn"))
    assert f"{tmp_path}: Is a directory" in done.stderr.decode() and b"caf\\udce9.png: face 1" in done.stdout
    done = said(portrait, "--annotate", str(tmp_path / "grace_hopper.png"))
    assert b"--annotate" in done.stderr and b"File exists" in done.stderr
    (tmp_path / "bad.jpg").write_text("text")
    rows = list(csv.DictReader(io.StringIO(command(portrait, str(tmp_path / "bad.jpg"), "--csv", expect=1))))
    assert [row["emotion"] for row in rows] == [face["emotion"] for face in expected["faces"]]


def test_a_folder_that_is_no_model_is_explained(tmp_path):
    with pytest.raises(ModelError, match=r"no config\.json"):
        Analyzer.load(str(tmp_path), "haar")
    (tmp_path / "config.json").write_text('{"label_names": ["a"], "pretrained_cfg": {"mean": [0]}}')
    with pytest.raises(ModelError, match="lacks input_size, std"):
        Analyzer.load(str(tmp_path), "haar")


def test_a_name_that_is_no_hub_id_is_explained():
    with pytest.raises(ModelError, match="neither a folder nor a Hub id"):
        Analyzer.load("no/such/folder at all", "haar")


def test_boxes_stay_within_the_picture():
    assert within((-5.0, -5.0, 20.0, 20.0), 2.0, (30, 30)) == (0, 0, 30, 30)
    assert within((100.0, 100.0, 5.0, 5.0), 1.0, (30, 30)) == (29, 29, 1, 1)


def test_the_command_ends_quietly_where_nobody_reads_on(repository, child_environment, portrait):
    command = f"{sys.executable} -m space.predict {portrait} --json | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=repository, env=child_environment | {"FER_DETECTOR": "haar"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and "BrokenPipe" not in done.stderr, done.stderr


@pytest.fixture
def film(portrait, tmp_path):
    """Two seconds of the portrait at 10 frames a second."""
    with Image.open(portrait) as picture:
        return write_film(tmp_path / "film.mp4", [picture] * 20, rate=10)


def test_a_video_of_pixels_that_are_not_square_is_read_in_its_true_shape(analyzer, portrait, tmp_path):
    """As television has them: here stored at half of the width, and shown at the whole."""
    answers = []
    with Image.open(portrait) as picture:
        for width, aspect in ((512, None), (256, Fraction(2)), (256, Fraction(64))):  # the last is no camera's
            film = write_film(tmp_path / "film.mp4", [picture.resize((width, 600))] * 3, 10, aspect)
            answers.append(analyse_video(analyzer, film, tmp_path / "out.mp4"))
            with av.open(str(tmp_path / "out.mp4")) as drawn:
                size = (drawn.streams.video[0].width, drawn.streams.video[0].height)
                assert size == ((256, 600) if aspect == 64 else (512, 600))
    right, wide = (one.readings[0] for one in answers[:2])
    np.testing.assert_allclose(wide.box, right.box, atol=12)
    np.testing.assert_allclose(wide.probabilities, right.probabilities, atol=0.05)


def test_a_video_is_read_and_drawn(analyzer, film, tmp_path):
    told = []
    analysis = analyse_video(
        analyzer, film, tmp_path / "out.mp4", progress=lambda done, total: told.append(done / total)
    )
    assert analysis.frames == 20
    assert {reading.face for reading in analysis.readings} == {1}
    assert len(analysis.readings) >= 10
    assert told[-1] > 0.9
    with av.open(str(tmp_path / "out.mp4")) as drawn:
        assert drawn.streams.video[0].codec_context.name == "h264"
        assert drawn.streams.video[0].codec_context.pix_fmt == "yuv420p"
        frames = [frame.to_image() for frame in drawn.decode(video=0)]
        assert len(frames) == 20
        reading, labels = analysis.readings[0], analysis.label_names
        colour = colour_of(labels[int(reading.probabilities.argmax())], labels)
        (x, y), height = lower_edge(reading.box), reading.box[3]
        line = np.asarray(frames[0])[y - 2 : y + 2, x - 5 : x + 5].reshape(-1, 3)  # colours of a video are blurred
        inside = np.asarray(frames[0])[y - height // 4, x - 5 : x + 5].reshape(-1, 3)
        assert np.abs(line - colour).sum(1).min() < 90 < np.abs(inside - colour).sum(1).min()
        assert drawn.duration / av.time_base == pytest.approx(2.0, abs=0.2)


def test_a_phones_video_is_turned_as_it_was_held():
    lying = Image.new("RGB", (40, 20))
    lying.putpixel((39, 0), (255, 0, 0))  # right above: left above after a quarter turn against the clock
    turned = upright(SimpleNamespace(rotation=90, width=40, height=20, to_image=lambda width, height: lying))
    assert turned.size == (20, 40) and turned.getpixel((0, 0)) == (255, 0, 0)


def test_frames_closer_together_than_a_screen_shows_are_left_out(analyzer, portrait, tmp_path):
    """A small file can hold any number of them; each would be drawn and encoded."""
    with Image.open(portrait) as picture:
        dense = write_film(tmp_path / "dense.mp4", [picture.resize((64, 64))] * 300, rate=600)
    assert 20 <= analyse_video(analyzer, dense, tmp_path / "out.mp4").frames <= 35  # half a second


def test_another_projects_metrics_are_none(tmp_path):
    for text in (None, "{", "[1]", '{"accuracy": 0.9}', '{"schema_version": 1}'):
        if text is not None:
            (tmp_path / "metrics.json").write_text(text)
        assert read_metrics(tmp_path) is None
    (tmp_path / "metrics.json").write_text('{"schema_version": 1, "splits": {}, "label_names": []}')
    assert read_metrics(tmp_path)["splits"] == {}


def test_a_video_beyond_the_limits_gets_a_sentence(analyzer, film, tmp_path):
    with pytest.raises(Refusal, match="lasts 2 seconds"):
        analyse_video(analyzer, film, tmp_path / "out.mp4", limits=Limits(video_seconds=1))
    with pytest.raises(Refusal, match=r"has 0\.\d MB; 1e-06 MB is the most"):
        analyse_video(analyzer, film, tmp_path / "out.mp4", limits=Limits(video_megabytes=1e-6))
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(Refusal, match="not a video"):
        analyse_video(analyzer, tmp_path / "text.mp4", tmp_path / "out.mp4")
