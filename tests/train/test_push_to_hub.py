"""What `--push_to_hub` does at the end of a training run: a push that fails never loses the run."""

import subprocess
import sys

import datasets

from tests.train.test_train_process import arguments

AT_THE_END = """
import sys
from pathlib import Path
from train.train import push_folder_or_say_how
push_folder_or_say_how(Path(sys.argv[1]), "user/run")
"""


def test_a_failed_push_names_the_command_that_pushes_later_and_that_command_pushes(
    hub, complete_model_folder, repository, tmp_path
):
    def child(*command):
        environment = hub.environment(tmp_path / "home")
        return subprocess.run(
            [sys.executable, *command], cwd=repository, env=environment, capture_output=True, text=True
        )

    hub.faults({"match": "POST .*/commit", "times": 99, "status": 403, "message": "Forbidden"})
    done = child("-c", AT_THE_END, str(complete_model_folder))
    assert done.returncode == 0, done.stderr
    later = f"python -m train.push {complete_model_folder} --repo_id user/run"
    assert "use a token with write permission" in done.stderr and later in done.stderr
    assert len(hub.commits("user/run")) == 1  # the Hub's own first one
    hub.faults()
    done = child(*later.split()[1:])
    assert done.returncode == 0, done.stderr
    assert len(hub.commits("user/run")) == 2


def test_a_run_pushes_what_it_has_made(hub, shared_data, repository, tmp_path):
    environment = hub.environment(tmp_path / "home") | {"HF_DATASETS_CACHE": str(datasets.config.HF_DATASETS_CACHE)}
    asked = arguments(
        shared_data / "fer2013", tmp_path / "run", "--score", "validation", "--push_to_hub", "user/trained"
    )
    done = subprocess.run(
        [sys.executable, "train/train.py", *asked], cwd=repository, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    export = tmp_path / "run" / "export"
    made = {str(path.relative_to(export)) for path in export.rglob("*") if path.is_file()}
    assert set(hub.commits("user/trained")[-1]["files"]) - {".gitattributes"} == made
