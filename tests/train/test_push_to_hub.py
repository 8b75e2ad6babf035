"""What `--push_to_hub` does at the end of a training run: a push that fails never loses the run."""

import subprocess
import sys

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
