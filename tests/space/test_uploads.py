"""Which old files are deleted: all of the app's own folder but those of questions that wait; never one outside, but for
what a process that was killed has left."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from gradio import route_utils

from space import hardening
from space.picture_input import undecoded
from tests.space.served import run_async


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "uploads"
    (folder / "hash").mkdir(parents=True)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return folder


def uploaded(path):
    path.write_text("x")
    return {"path": str(path)}


def test_only_uploads_are_named(folder, tmp_path):
    one, two, outside = folder / "hash" / "a.jpg", folder / "b.jpg", tmp_path / "c.jpg"
    values = [
        uploaded(one),
        [uploaded(two), uploaded(outside)],
        {"path": str(folder / "gone.jpg")},
        {"path": str(folder)},
    ]
    values += [
        {"path": "a\0b"},
        {"path": "a" * 10_000},
        {"path": 5},
        {"path": str(folder / "../c.jpg")},
        None,
        3,
        "x",
        [[]],
    ]
    (folder / "link.jpg").symlink_to(outside)
    values.append({"path": str(folder / "link.jpg")})
    assert list(hardening.uploads_in(values)) == [one, two]


@pytest.mark.parametrize("path", ["a\0b", "a" * 10_000, "/etc/passwd", "", None])
def test_no_other_path_is_read(folder, path):
    with pytest.raises(gr.Error, match="addresses and paths are not read"):
        undecoded(SimpleNamespace(url=None, path=path))


def test_what_is_old_goes_and_what_is_waited_for_stays(folder, tmp_path):
    waiting, old, outside = folder / "hash" / "a.jpg", folder / "b.jpg", tmp_path / "c.jpg"
    event = SimpleNamespace(data=SimpleNamespace(data=[uploaded(waiting), {"path": "a\0b"}]))
    uploaded(old), uploaded(outside)
    (folder / "empty").mkdir()
    (folder / "link.jpg").symlink_to(outside)
    seen = []
    queue = SimpleNamespace(event_ids_to_events={"1": event, "2": SimpleNamespace(data=None)})
    delete = hardening.delete_all_but_waiting(queue, lambda blocks, age: seen.append(age))
    delete(None, 100)
    assert waiting.exists() and old.exists(), "nothing is old yet"
    time.sleep(1.1)
    delete(None, 0)
    assert waiting.exists() and not old.exists() and not os.path.lexists(folder / "link.jpg")
    assert outside.exists() and not (folder / "empty").exists()
    assert seen == [100, 0], "Gradio's own deletion is asked as well"


class Growing(set):
    """A set of Gradio's, to which an upload adds while the files in it are looked at."""

    def __iter__(self):
        for item in super().__iter__():
            yield item
            self.add(f"{item}+")


def test_an_upload_during_the_deletion_does_not_end_it(folder):
    old = folder / "a.jpg"
    uploaded(old)
    blocks = SimpleNamespace(blocks={}, temp_file_sets=[Growing({str(folder / "kept by Gradio")})])
    gradios = route_utils.delete_files_created_by_app
    with pytest.raises(RuntimeError, match="changed size"):
        gradios(blocks, 0)
    time.sleep(1.1)
    hardening.delete_all_but_waiting(SimpleNamespace(event_ids_to_events={}), gradios)(blocks, 0)
    assert not old.exists()


def test_what_is_still_arriving_stays(folder):
    class Parser:
        _files_to_close_on_error = [(folder / "first.jpg").open("w")]

    seen = []
    delete = hardening.delete_all_but_waiting(SimpleNamespace(event_ids_to_events={}), lambda blocks, age: None)

    async def parse(parser):
        time.sleep(1.1)  # the second picture of the same request
        delete(None, 0)
        seen.append((folder / "first.jpg").exists())

    run_async(hardening.leaving_nothing(parse)(Parser()))
    time.sleep(1.1)
    delete(None, 0)
    assert seen == [True] and not (folder / "first.jpg").exists()


def test_an_upload_that_fails_removes_its_files(folder):
    class Parser:
        _files_to_close_on_error = [(folder / name).open("w") for name in ("1", "2")]

    async def parse(parser):
        raise ConnectionError

    with pytest.raises(ConnectionError):
        run_async(hardening.leaving_nothing(parse)(Parser()))
    assert [path.name for path in folder.iterdir()] == ["hash"]
    assert all(file.closed for file in Parser._files_to_close_on_error)


OWNER = """if True:
    import os, sys
    from space.hardening import own_upload_folder
    own_upload_folder()
    print(os.environ["GRADIO_TEMP_DIR"], flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def owner(tmp_path, repository, child_environment):
    """owner() starts a process with an upload of its own in `tmp_path`; the process and its folder."""
    processes = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", OWNER], cwd=repository, env=child_environment | {"GRADIO_TEMP_DIR": str(tmp_path)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        processes.append(process)
        folder = Path(process.stdout.readline().strip())
        (folder / "hash").mkdir()
        (folder / "hash" / "face.jpg").write_text("x")
        return process, folder

    yield start
    for process in processes:
        process.communicate()


def test_what_a_killed_process_has_left_goes_at_the_next_start(owner, tmp_path):
    (killed, left), (_, used) = owner(), owner()
    others = [tmp_path / "fer-notes", tmp_path / "home"]
    for folder in others:
        folder.mkdir()
        (folder / "thesis.txt").write_text("years of work")
    link = left.with_name(f"{left.name}-link")
    link.symlink_to(tmp_path / "home")
    killed.kill()
    killed.wait()
    assert (left / "hash" / "face.jpg").is_file(), "so that the test can fail"
    process, folder = owner()
    assert not left.exists()
    assert all((path / "hash" / "face.jpg").is_file() for path in (used, folder)), "one in use was removed"
    assert all((path / "thesis.txt").is_file() for path in others) and link.is_symlink()
    process.communicate()
    assert not folder.exists()
