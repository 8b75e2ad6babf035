"""Publishing the app to a stand-in Hub, and running what was published by itself in an empty environment."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from pathlib import Path

import pytest
import yaml
from huggingface_hub import HfApi, RepoCard, SpaceCardData, constants, snapshot_download

from benchmarks.app_process import free_port
from hub.commit import HubError, commit_files
from space.analysis import Analyzer
from space.model_source import ModelSource
from space.publish import publish, space_files
from space.static import publish as publish_module
from space.static.publish import static_card, static_files

STARTS_IN = 120  # seconds


@pytest.fixture
def api(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the stand-in knows LFS alone
    return HfApi(endpoint=hub.url, token="hf_standin")


@pytest.fixture
def model_on_hub(api, complete_model_folder):
    """user/emotions with the tag v1 on the random model, and something else on main after it."""
    files = {
        p.relative_to(complete_model_folder).as_posix(): p for p in complete_model_folder.rglob("*") if p.is_file()
    }
    commit_files("user/emotions", files, message="v1", tag="v1", api=api)
    commit_files("user/emotions", {"notes.md": b"later"}, message="later", api=api)
    return "user/emotions", api.model_info("user/emotions", revision="v1").sha


def fetched(hub, repo_id, folder):
    return Path(snapshot_download(repo_id, repo_type="space", endpoint=hub.url, local_dir=folder, token="hf_standin"))


def test_the_space_names_its_versions_and_the_model_by_its_commit(api, hub, model_on_hub, tmp_path):
    model, commit = model_on_hub
    done = publish("user/faces", f"{model}@v1", api=api)
    assert done.new and len(hub.commits("user/faces")) == 2
    space = fetched(hub, "user/faces", tmp_path / "space")
    assert yaml.safe_load((space / "space/settings.yaml").read_text()) == {"model": model, "revision": commit}
    data = RepoCard.load(space / "README.md").data.to_dict()
    assert data["sdk"] == "gradio" and data["app_file"] == "app.py" and data["models"] == [model]
    assert "python_version: '3.12'" in (space / "README.md").read_text()  # quoted: 3.10 is no number
    assert data["sdk_version"].startswith("6.")
    assert data["preload_from_hub"] == [
        f"{model} config.json,metrics.json,README.md,onnx/model.onnx {commit}",
        "opencv/face_detection_yunet face_detection_yunet_2026may.onnx",
    ]
    assert len(data["short_description"]) <= 60
    assert SpaceCardData(**data).to_dict() == data
    card = (space / "README.md").read_text()
    assert "which of 7 expressions" in card and "removed after about 2 minutes, unless" in card
    there = {p.relative_to(space).as_posix() for p in space.rglob("*") if p.is_file() and ".cache" not in p.parts}
    assert {"app.py", "requirements.txt", "LICENSE", "space/server.py", "space/languages/en.json"} <= there
    assert "space/fonts/DejaVuSans-Latin.ttf" in there
    assert not [name for name in there if name.startswith(("train/", "model/", "tests/", "hub/")) or "publish" in name]
    assert not [name for name in there if name.endswith((".pyc", ".pyi"))]

    assert not publish("user/faces", f"{model}@{commit}", api=api).new
    assert len(hub.commits("user/faces")) == 2


def test_the_card_counts_the_classes_of_the_model_that_it_names(api, model_folder):
    config = json.loads((model_folder / "config.json").read_text()) | {"label_names": ["calm", "cross", "glad"]}
    files = {"config.json": json.dumps(config).encode(), "onnx/model.onnx": b"three"}
    commit_files("user/three", files, message="three classes", api=api)
    assert b"which of 3 expressions" in space_files("user/three", title="Three", api=api)["README.md"]
    commit_files("user/three", {"config.json": b"{}"}, message="no classes", api=api)
    with pytest.raises(HubError, match="lacks input_size, mean, std"):
        space_files("user/three", title="Three", api=api)


def test_an_embedded_model_travels_with_the_app_and_leaves_when_it_is_not_wanted(
    api, hub, model_on_hub, complete_model_folder, repository, tmp_path
):
    root = tmp_path / "root"
    shutil.copytree(repository / "space", root / "space", ignore=shutil.ignore_patterns("node_modules"))
    for name in ("LICENSE", "app.py", "requirements.txt"):
        shutil.copy(repository / name, root / name)
    shutil.copytree(complete_model_folder, root / "model")
    publish("user/embedded", embed=True, root=root, api=api)
    assert "which of 7 expressions" in (fetched(hub, "user/embedded", tmp_path / "space") / "README.md").read_text()
    there = hub.commits("user/embedded")[-1]["files"]
    assert {"model/config.json", "model/onnx/model.onnx", "model/README.md"} <= set(there)
    assert "model/model.safetensors" not in there and "space/settings.yaml" not in there
    publish("user/embedded", model_on_hub[0], api=api)
    there = hub.commits("user/embedded")[-1]["files"]
    assert "space/settings.yaml" in there and not [name for name in there if name.startswith("model/")]


def test_hardware_is_asked_for_and_a_refusal_names_the_plan(api, hub, model_on_hub, tmp_path):
    publish("user/zero", model_on_hub[0], hardware="zero-a10g", api=api)
    assert RepoCard.load(fetched(hub, "user/zero", tmp_path) / "README.md").data.suggested_hardware == "zero-a10g"
    assert "POST /api/spaces/user/zero/hardware" in hub.call("/_log")
    publish("user/zero", f"{model_on_hub[0]}@v1", api=api)  # the hardware stays, and so must what it needs to start
    assert "space/zero_gpu.py" in hub.commits("user/zero")[-1]["files"]
    hub.faults({"match": "/hardware", "times": 9, "status": 402, "message": "Payment required"})
    with pytest.raises(HubError, match=r"the files are there, but not on cpu-upgrade \(8 cores.*change the plan"):
        publish("user/zero", model_on_hub[0], hardware="cpu-upgrade", api=api)
    hub.faults({"match": "POST /api/repos/create", "times": 9, "status": 402, "message": "Payment required"})
    with pytest.raises(HubError, match=r"change the plan.*Without a paid plan: --hardware zero-a10g .*or --static"):
        publish("user/refused", model_on_hub[0], api=api)


SPACES = """
def GPU(function):
    print("ZeroGPU finds", function.__name__)
    return function
"""


@pytest.mark.parametrize("platform", ["the Hub", "a machine"])
def test_what_zero_gpu_looks_for_is_there_on_the_hub_alone(platform, repository, child_environment, tmp_path):
    (tmp_path / "spaces.py").write_text(SPACES)
    environment = child_environment | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{repository}"}
    environment |= {"SPACE_ID": "user/zero"} if platform == "the Hub" else {}
    done = subprocess.run(
        [sys.executable, "-c", "import app"], cwd=repository, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ("ZeroGPU finds never_called\n" if platform == "the Hub" else "")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (None, "which model"),
        ("user/emotions@v9", "or its revision is not there"),
        ("user/nothing", "is not there"),
        ("user/bare", "holds no config.json and no onnx/model.onnx"),
    ],
)
def test_a_model_that_the_space_could_not_serve_is_refused_before_anything_is_sent(api, hub, model_on_hub, model, said):
    commit_files("user/bare", {"notes.md": b"no model"}, message="bare", api=api)
    with pytest.raises(HubError, match=said):
        publish("user/refused", model, api=api)
    assert hub.commits("user/refused") == []


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("license: cc-by-nc-4.0", {"license": "cc-by-nc-4.0"}),
        (
            "license: other\nlicense_name: house\nlicense_link: https://x.y",
            {"license": "other", "license_name": "house"},
        ),
        ("license: apache-2.0", {"license": "apache-2.0"}),
        ("tags: [a]", {}),
        ("license: [", {}),  # no YAML
    ],
)
def test_weights_that_travel_along_keep_their_licence(declared, said, model_folder, repository, tmp_path):
    for name in ("LICENSE", "app.py", "requirements.txt"):
        shutil.copy(repository / name, tmp_path / name)
    shutil.copytree(model_folder, tmp_path / "model")
    (tmp_path / "model" / "README.md").write_text(f"---\n{declared}\n---\n")
    source = ModelSource("m", tmp_path / "model")
    embedded = space_files(embed=True, title="T", root=tmp_path)["README.md"].decode()
    for card in (embedded, static_card("T", source, 7)):
        data = RepoCard(card).data.to_dict()
        assert {name: data[name] for name in data if name in ("license", "license_name")} == said
    assert ("the model that travels with it under" in embedded) == (said.get("license") != "apache-2.0")
    assert ("under no licence that its card names" in embedded) == (not said)


@pytest.mark.parametrize(
    ("model_private", "asked_private", "there", "goes"),
    [
        (False, None, None, True),
        (True, None, None, False),
        (True, True, None, True),
        (True, True, "public", False),  # what is there stays as it is
        (True, None, "private", True),
    ],
)
def test_a_private_models_weights_are_not_laid_open_unasked(
    model_private, asked_private, there, goes, api, monkeypatch
):
    name, space = f"user/weights-{model_private}", f"user/page-{there}"
    commit_files(name, {"config.json": b"{}"}, message="v1", private=model_private, api=api)
    if there:
        api.create_repo(space, repo_type="space", space_sdk="static", private=there == "private", exist_ok=True)
    source = ModelSource(name, Path(), api.model_info(name).sha)
    monkeypatch.setattr(publish_module, "find_model", lambda model: source)
    monkeypatch.setattr(publish_module, "HfApi", lambda: api)
    monkeypatch.setattr(publish_module, "build", lambda *arguments: {"model": {"labels": []}})
    refused = pytest.raises(HubError, match="hands its weights to every visitor")
    made = static_files(name, title="T", repo_id=space, private=asked_private)
    with contextlib.nullcontext() if goes else refused, made as files:
        assert list(files) == ["README.md"]


def test_without_onnx_one_sentence_names_the_command(repository, child_environment):
    code = "import sys; sys.modules['onnx'] = None; from space.publish import main; main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, "--static", "--repo_id", "user/page"],
        cwd=repository, env=child_environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.strip() == (
        "space.publish: --static needs onnx: pip install -r space/static/requirements.txt"
    )


def test_a_dry_run_lists_and_sends_nothing(hub, model_on_hub, repository, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "space.publish", "--repo_id", "user/dry", "--model", "user/emotions@v1", "--dry_run"],
        cwd=repository, env=hub.environment(tmp_path), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "space/server.py" in done.stdout and "sdk: gradio" in done.stdout and "nothing was sent" in done.stdout
    assert hub.commits("user/dry") == []


def ask(python, folder, environment, picture, log):
    """Start app.py of `folder`, ask its /predict about `picture`, and end it; the answer."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = environment | {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port)}
    with log.open("w") as lines:
        process = subprocess.Popen([python, "app.py"], cwd=folder, env=environment, stdout=lines, stderr=lines)
    try:
        deadline = time.monotonic() + STARTS_IN
        while True:
            try:
                urllib.request.urlopen(url, timeout=10).close()
                break
            except (OSError, urllib.error.URLError):
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
        boundary = "picture"
        body = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="face.jpg"\r\n'
            "Content-Type: image/jpeg\r\n\r\n"
        ).encode() + picture.read_bytes() + f"\r\n--{boundary}--\r\n".encode()  # fmt: skip
        path = post(f"{url}/gradio_api/upload", body, f"multipart/form-data; boundary={boundary}")[0]
        data = json.dumps({"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}]}).encode()
        event = post(f"{url}/gradio_api/call/predict", data, "application/json")["event_id"]
        with urllib.request.urlopen(f"{url}/gradio_api/call/predict/{event}", timeout=60) as stream:
            text = stream.read().decode()
        assert "event: complete" in text, text + log.read_text()
        return json.loads(text.split("event: complete\ndata: ")[1].splitlines()[0])[0]
    finally:
        process.terminate()
        process.wait()


def post(url, body, kind):
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.mark.timeout(900)
def test_what_was_published_answers_by_itself_in_an_empty_environment(
    api, hub, model_on_hub, complete_model_folder, portrait, repository, tmp_path
):
    """The same answer as from the model's folder; also by `FER_MODEL=USER/NAME@TAG python app.py` in the checkout.

    The stand-in has no YuNet, so the cascade is at work.
    """
    publish("user/alone", f"{model_on_hub[0]}@v1", api=api)
    space = fetched(hub, "user/alone", tmp_path / "space")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", "requirements.txt"]
    done = subprocess.run(install, cwd=space, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    expected = Analyzer.load(str(complete_model_folder), "haar").analyse_file(Path(portrait))[1].as_json()["faces"][0]
    alone = {key: value for key, value in hub.environment(tmp_path / "home").items() if key != "PYTHONPATH"}
    checkout = hub.environment(tmp_path / "another home") | {"FER_MODEL": f"{model_on_hub[0]}@v1"}
    for environment, folder, interpreter in ((alone, space, python), (checkout, repository, sys.executable)):
        answer = ask(interpreter, folder, environment, Path(portrait), tmp_path / "log")
        assert (answer["model"]["name"], answer["model"]["revision"]) == model_on_hub
        face = answer["faces"][0]
        assert face["box"] == expected["box"] and face["emotion"] == expected["emotion"]
        assert face["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-4)
        assert os.listdir(Path(environment["HF_HOME"]) / "hub")  # noqa: PTH208
