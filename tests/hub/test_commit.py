"""hub.commit with the real client against the stand-in Hub: one commit or none, whatever breaks."""

import itertools
import re

import pytest
from huggingface_hub import HfApi, constants

from hub import commit
from hub.commit import HubError, commit_files, explained

NUMBERS = itertools.count()
LARGE = b"weights" * 5000


@pytest.fixture
def api(hub, monkeypatch):
    # waits of 1, 2, 4 s shrink; what is waited for is in test_a_long_wait_is_left_to_the_person
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the stand-in knows LFS alone
    monkeypatch.setattr(commit.time, "sleep", lambda seconds: None)
    return HfApi(endpoint=hub.url, token="hf_standin")


@pytest.fixture
def repo_id():
    """A repository of each test's own; its name is no part of what the faults match."""
    return f"user/faces{next(NUMBERS)}"


def files(**changed):
    return {"README.md": b"---\nlicense: mit\n---\n", "model.safetensors": LARGE, "config.json": b"{}"} | changed


def push(api, repo_id, contents=None, **options):
    options = {"message": "version", "is_ours": lambda path: path.startswith("figures/")} | options
    return commit_files(repo_id, contents or files(), api=api, **options)


def test_one_commit_for_each_version_and_none_for_the_same(api, hub, repo_id, tmp_path):
    local = tmp_path / "model.safetensors"
    local.write_bytes(LARGE)
    first = push(api, repo_id, files(**{"figures/old.png": b"old", "model.safetensors": local}))
    assert first.new and len(hub.commits(repo_id)) == 2  # the Hub's own first one, and ours
    second = push(api, repo_id, files(**{"figures/new.png": b"new"}))
    assert second.new and second.oid != first.oid
    there = hub.commits(repo_id)[-1]["files"]
    assert "figures/new.png" in there and "figures/old.png" not in there and ".gitattributes" in there
    again = push(api, repo_id, files(**{"figures/new.png": b"new"}))
    assert not again.new and again.oid == second.oid and len(hub.commits(repo_id)) == 3


def test_a_repository_is_private_where_that_is_asked_for(api, hub, repo_id):
    push(api, repo_id, private=True)
    assert api.model_info(repo_id).private
    push(api, f"{repo_id}-open")
    assert not api.model_info(f"{repo_id}-open").private


def test_what_somebody_else_pushed_meanwhile_is_not_overwritten(api, hub, repo_id, monkeypatch):
    push(api, repo_id)
    commit_ours = api.create_commit

    def commit_late(*arguments, **options):
        monkeypatch.setattr(api, "create_commit", commit_ours)
        push(api, repo_id, files(**{"config.json": b'{"of": "somebody else"}'}))
        return commit_ours(*arguments, **options)

    monkeypatch.setattr(api, "create_commit", commit_late)
    with pytest.raises(HubError, match="somebody else changed"):
        push(api, repo_id, files(**{"README.md": b"---\n---\nours"}))
    assert len(hub.commits(repo_id)) == 3


def test_a_tag_names_one_version_for_good(api, hub, repo_id):
    push(api, repo_id, tag="v1")
    assert not push(api, repo_id, tag="v1").new
    before = hub.commits(repo_id)
    with pytest.raises(HubError, match="tag v1 already, on other files"):
        push(api, repo_id, files(**{"config.json": b'{"another": 1}'}), tag="v1")
    assert hub.commits(repo_id) == before
    changed = push(api, repo_id, files(**{"config.json": b'{"another": 1}'}), tag="v2")
    tags = {one.name: one.target_commit for one in api.list_repo_refs(repo_id).tags}
    assert tags == {"v1": before[-1]["oid"], "v2": changed.oid}


def test_a_branch_is_made_and_main_stays(api, hub, repo_id):
    main = push(api, repo_id)
    branch = push(api, repo_id, files(**{"config.json": b"[]"}), revision="trial")
    assert branch.new and api.model_info(repo_id).sha == main.oid
    assert api.model_info(repo_id, revision="trial").sha == branch.oid


def test_a_pull_request_leaves_main(api, hub, repo_id):
    main = push(api, repo_id)
    asked = push(api, repo_id, files(**{"config.json": b"[]"}), create_pr=True)
    assert asked.url.endswith("/discussions/1") and api.model_info(repo_id).sha == main.oid
    with pytest.raises(HubError, match="--create_pr stands alone"):
        push(api, repo_id, create_pr=True, tag="v1")


@pytest.mark.parametrize("fault", [{"cut": 0}, {"status": 502}], ids=lambda fault: next(iter(fault)))
def test_a_pull_request_without_an_answer_is_not_made_twice(api, hub, repo_id, fault):
    push(api, repo_id)
    before = len(hub.commits(repo_id))
    hub.faults(fault | {"match": "POST .*/commit", "times": 1})
    with pytest.raises(HubError, match=f"whether the pull request was made .* those of {repo_id}"):
        push(api, repo_id, files(**{"config.json": b"[]"}), create_pr=True)
    assert len(hub.commits(repo_id)) == before + ("cut" in fault)


def test_a_pull_request_is_retried_where_it_was_not_sent_or_refused(api, hub, repo_id):
    push(api, repo_id)
    hub.faults(
        {"match": "POST .*/preupload", "times": 1, "status": 503},
        {"match": "POST .*/commit", "times": 1, "status": 429, "headers": {"Retry-After": "1"}},
    )
    assert push(api, repo_id, files(**{"config.json": b"[]"}), create_pr=True).url.endswith("/discussions/1")


@pytest.mark.parametrize(
    "fault",
    [
        {"match": "PUT /_lfs", "times": 2, "status": 500},
        {"match": "PUT /_lfs", "times": 1, "cut": 0},
        {"match": "POST .*/preupload", "times": 1, "status": 503},
        {"match": "POST .*/create", "times": 1, "status": 429, "headers": {"Retry-After": "1"}},
        {"match": "POST .*/commit", "times": 3, "status": 502},
        {"match": "POST .*/commit", "times": 1, "cut": 0},  # the commit was made, its answer was lost
        {"match": "POST .*/commit", "times": 1, "delay": 1.5, "status": 504},
        {"match": "POST .*/tag", "times": 1, "status": 500},
    ],
    ids=lambda fault: f"{fault['match']}-{fault.get('status', 'cut')}",
)
def test_what_passes_is_retried_and_still_one_commit(api, hub, repo_id, fault):
    hub.faults(fault)
    new = files(**{"model.safetensors": LARGE + repo_id.encode()})  # of other tests' weights the Hub has a copy
    assert push(api, repo_id, new, tag="v1").new
    assert len(hub.commits(repo_id)) == 2
    assert api.model_info(repo_id, revision="v1").sha == hub.commits(repo_id)[-1]["oid"]


@pytest.mark.parametrize("status", [400, 403])
def test_a_tag_that_fails_after_the_commit_is_told_of_as_that(api, hub, repo_id, status):
    hub.faults({"match": "POST .*/tag", "status": status, "times": 99})
    with pytest.raises(HubError, match=rf"files are in {repo_id} \(.*\), but the tag v1 was not made \(.*\); the same"):
        push(api, repo_id, tag="v1")
    assert len(hub.commits(repo_id)) == 2
    hub.faults()
    assert not push(api, repo_id, tag="v1").new
    assert api.model_info(repo_id, revision="v1").sha == hub.commits(repo_id)[-1]["oid"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"match": "POST .*/commit", "status": 401, "message": "User Access Token is expired"}, "hf auth login"),
        ({"match": "POST .*/commit", "status": 403, "message": "Forbidden"}, "token with write permission"),
        ({"match": "PUT /_lfs", "status": 403, "message": "Forbidden"}, "Error while uploading 'model.safetensors'"),
        ({"match": "batch", "status": 403, "message": "Private storage quota exceeded"}, "free some space"),
        ({"match": "POST .*/commit", "status": 412, "message": "moved"}, "somebody else changed"),
        ({"match": "POST .*/commit", "status": 500}, "the Hub answers 500"),
        ({"match": "validate-yaml", "status": 400, "message": "license"}, "does not take these files"),
    ],
    ids=lambda value: f"{value['match']}-{value['status']}" if isinstance(value, dict) else None,
)
def test_what_does_not_pass_leaves_the_files_and_says_what_to_do(api, hub, repo_id, fault, said):
    push(api, repo_id)
    before = hub.commits(repo_id)
    hub.faults(fault | {"times": 99})
    with pytest.raises(HubError, match=re.escape(said)) as caught:
        push(api, repo_id, files(**{"model.safetensors": LARGE + repo_id.encode(), "README.md": b"---\n---\nnew"}))
    assert repo_id in str(caught.value) and "\n" not in str(caught.value)
    assert hub.commits(repo_id) == before


def test_a_long_wait_is_left_to_the_person(api, hub, repo_id):
    hub.faults({"match": "POST .*/commit", "times": 99, "status": 429, "headers": {"Retry-After": "3600"}})
    with pytest.raises(HubError, match="wait 3600 seconds"):
        push(api, repo_id)


def test_names_and_tokens_that_cannot_be(api, hub, repo_id):
    with pytest.raises(HubError, match="no repository id"):
        push(api, "not a name/at all")
    with pytest.raises(HubError, match="'alone' is no repository id: give USER/NAME"):
        push(api, "alone")
    with pytest.raises(HubError, match="hf auth login"):
        push(HfApi(endpoint=hub.url, token="hf_another"), repo_id)
    assert hub.commits(repo_id) == []


def test_a_download_that_reaches_no_hub_is_no_file_that_cannot_be_read(api, tmp_path):
    nowhere = HfApi(endpoint="http://127.0.0.1:9")
    with pytest.raises(HubError, match="the connection to the Hub broke .*try again"), explained("user/faces"):
        nowhere.hf_hub_download("user/faces", "config.json", local_dir=tmp_path)
    with pytest.raises(HubError, match="a file could not be read .*absent.json"), explained("user/faces"):
        (tmp_path / "absent.json").read_bytes()
