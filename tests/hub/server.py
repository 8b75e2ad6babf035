"""A stand-in for the Hugging Face Hub on loopback, enough of it for the real clients: python -m tests.hub.server PORT.

Repositories live in memory as lists of commits; large files go the LFS way. Faults are injected by a POST to /_faults
with a list of {"match": regex of "METHOD path", "times": n, and any of "delay": seconds and one of "status" (with
"headers" and "message"), "cut": bytes of the body after which the connection breaks, "corrupt": true for a body with
another last byte}; GET /_log lists the requests.
"""

import base64
import hashlib
import json
import re
import sys
from dataclasses import dataclass, field

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from tests.hub import faults

LFS_SUFFIXES = (".safetensors", ".onnx", ".png", ".parquet", ".tar", ".zip")


@dataclass
class Repository:
    kind: str
    private: bool = False
    hardware: str | None = None
    commits: list = field(default_factory=list)  # (oid, {path: bytes}), oldest first
    references: dict = field(default_factory=dict)  # branch or tag to oid

    def commit(self, files, branch="main"):
        oid = hashlib.sha1(f"{len(self.commits)}{sorted(files)}".encode()).hexdigest()
        self.commits.append((oid, files))
        self.references[branch] = oid
        return oid

    def files(self, revision):
        oid = self.references.get(revision, revision)
        for known, files in self.commits:
            if known == oid or (len(oid) >= 7 and known.startswith(oid)):
                return known, files
        return None, None


class Hub:
    def __init__(self):
        self.repositories, self.blobs, self.faults, self.log = {}, {}, [], []

    def find(self, kind, name):
        found = self.repositories.get(name)
        return found if found and found.kind == kind else None


hub = Hub()
app = FastAPI()
faults.install(app, hub)


def error(status, code, message):
    return JSONResponse({"error": message}, status, {"X-Error-Code": code, "X-Error-Message": message})


@app.get("/_commits/{user}/{name}")
def commits(user: str, name: str):
    repository = hub.repositories.get(f"{user}/{name}")
    return [{"oid": oid, "files": sorted(files)} for oid, files in repository.commits] if repository else []


@app.post("/_{plural}/{user}/{name}")
async def put_files(plural: str, user: str, name: str, request: Request):
    repository = hub.repositories.setdefault(f"{user}/{name}", Repository(kinds(plural)))
    return {"oid": repository.commit({k: base64.b64decode(v) for k, v in (await request.json()).items()})}


@app.get("/api/whoami-v2")
def whoami():
    return {
        "name": "user",
        "type": "user",
        "orgs": [],
        "auth": {"type": "access_token", "accessToken": {"role": "write"}},
    }


@app.post("/api/validate-yaml")
def validate():
    return {"errors": [], "warnings": []}


@app.post("/api/repos/create")
async def create(request: Request):
    asked = await request.json()
    name = f"{asked.get('organization') or 'user'}/{asked['name'].split('/')[-1]}"
    answer = {"url": f"{request.base_url}{name}", "name": name, "id": name}
    if name in hub.repositories:
        return JSONResponse(answer | {"error": "You already created this repository"}, 409)
    hub.repositories[name] = Repository(asked.get("type", "model"), asked.get("visibility") == "private")
    hub.repositories[name].commit({".gitattributes": b""})
    return answer


@app.post("/api/spaces/{user}/{name}/hardware")
async def hardware(user: str, name: str, request: Request):
    repository = hub.find("space", f"{user}/{name}")
    if repository is None:
        return error(404, "RepoNotFound", "Repository not found")
    repository.hardware = (await request.json())["flavor"]
    return {"stage": "BUILDING", "hardware": {"current": None, "requested": repository.hardware}}


def kinds(plural):
    return {"models": "model", "spaces": "space", "datasets": "dataset"}[plural]


@app.post("/api/{plural}/{user}/{name}/preupload/{revision:path}")
async def preupload(plural: str, user: str, name: str, revision: str, request: Request):
    found = located(plural, user, name, revision)
    if isinstance(found, Response):
        return found
    there = {row["path"]: row.get("lfs", row)["oid"] for row in entries(found[1])}
    answer = []
    for one in (await request.json())["files"]:
        mode = "lfs" if one["path"].endswith(LFS_SUFFIXES) else "regular"
        known = {"oid": there[one["path"]]} if one["path"] in there else {}
        answer.append({"path": one["path"], "uploadMode": mode, "shouldIgnore": False} | known)
    return {"files": answer}


@app.post("/{path:path}.git/info/lfs/objects/batch")
async def lfs_batch(path: str, request: Request):
    objects = []
    for one in (await request.json())["objects"]:
        actions = {} if one["oid"] in hub.blobs else {"upload": {"href": f"{request.base_url}_lfs/{one['oid']}"}}
        objects.append({"oid": one["oid"], "size": one["size"], "actions": actions} if actions else dict(one))
    return JSONResponse({"transfer": "basic", "objects": objects}, media_type="application/vnd.git-lfs+json")


@app.put("/_lfs/{oid}")
async def lfs_put(oid: str, request: Request):
    body = await request.body()
    if hashlib.sha256(body).hexdigest() != oid:
        return error(400, "BadOid", "the object's hash is not its name")
    hub.blobs[oid] = body
    return {}


@app.post("/api/{plural}/{user}/{name}/commit/{revision:path}")
async def commit(plural: str, user: str, name: str, revision: str, request: Request):
    repository = hub.find(kinds(plural), f"{user}/{name}")
    if repository is None:
        return error(404, "RepoNotFound", "Repository not found")
    before = repository.references.get(revision) or repository.references["main"]
    files = dict(repository.files(before)[1])
    for line in (await request.body()).splitlines():
        record = json.loads(line)
        value = record["value"]
        if value.get("parentCommit", before) != before:
            return error(412, "PreconditionFailed", "the branch has moved")
        if record["key"] == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        elif record["key"] == "lfsFile":
            if value["oid"] not in hub.blobs:
                return error(400, "MissingBlob", f"{value['path']} was never uploaded")
            files[value["path"]] = hub.blobs[value["oid"]]
        elif record["key"] == "deletedFile":
            files.pop(value["path"], None)
        elif record["key"] == "deletedFolder":
            files = {path: body for path, body in files.items() if not path.startswith(value["path"])}
    branch = "refs/pr/1" if request.query_params.get("create_pr") else revision
    oid = repository.commit(files, branch)
    url = f"{request.base_url}{user}/{name}"
    pull = {"pullRequestUrl": f"{url}/discussions/1"} if branch == "refs/pr/1" else {}
    return {"commitUrl": f"{url}/commit/{oid}", "commitOid": oid, "success": True, **pull}


@app.post("/api/{plural}/{user}/{name}/tag/{revision:path}")
@app.post("/api/{plural}/{user}/{name}/branch/{revision:path}")
async def reference(plural: str, user: str, name: str, revision: str, request: Request):
    repository = hub.find(kinds(plural), f"{user}/{name}")
    asked = await request.json() if await request.body() else {}
    target, key = (
        (revision, asked["tag"]) if "/tag/" in request.url.path else (asked.get("startingPoint", "main"), revision)
    )
    if key in repository.references:
        return error(409, "Conflict", f"{key} is there already")
    repository.references[key] = repository.files(target)[0]
    return {}


@app.get("/api/{plural}/{user}/{name}/refs")
def references(plural: str, user: str, name: str):
    repository = hub.find(kinds(plural), f"{user}/{name}")
    if repository is None:
        return error(404, "RepoNotFound", "Repository not found")
    rows = [
        {"name": key, "ref": f"refs/heads/{key}", "targetCommit": oid} for key, oid in repository.references.items()
    ]
    return {
        "branches": [r for r in rows if r["name"] == "main"],
        "tags": [r for r in rows if r["name"] != "main"],
        "converts": [],
    }


def entries(files):
    """The tree as the Hub lists it; git's blob ids for small files, sha256 for large ones."""
    rows = []
    for path, body in sorted(files.items()):
        row = {"type": "file", "path": path, "size": len(body)}
        row["oid"] = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
        if path.endswith(LFS_SUFFIXES):
            row["lfs"] = {"oid": hashlib.sha256(body).hexdigest(), "size": len(body), "pointerSize": 130}
        rows.append(row)
    return rows


@app.get("/api/{plural}/{user}/{name}/tree/{revision:path}")
def tree(plural: str, user: str, name: str, revision: str, recursive: bool = False):
    """The whole tree, or a folder's (REVISION/FOLDER), with the folders beneath it."""
    found, folder = located(plural, user, name, revision), ""
    if isinstance(found, Response) and "/" in revision:
        revision, folder = revision.split("/", 1)
        found = located(plural, user, name, revision)
    if isinstance(found, Response):
        return found
    inside = {path: body for path, body in found[1].items() if not folder or path.startswith(f"{folder}/")}
    if not inside:
        return error(404, "EntryNotFound", f"{folder} does not exist")
    depth = folder.count("/") + 1 if folder else 0
    parts = [path.split("/") for path in inside]
    below = {"/".join(part[:n]) for part in parts for n in range(depth + 1, len(part))}
    folders = [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in sorted(below)]
    rows = [*folders, *entries(inside)]
    return rows if recursive else [row for row in rows if row["path"].count("/") == depth]


@app.post("/api/{plural}/{user}/{name}/paths-info/{revision:path}")
async def paths_info(plural: str, user: str, name: str, revision: str, request: Request):
    found = located(plural, user, name, revision)
    if isinstance(found, Response):
        return found
    wanted = set((await request.form()).getlist("paths"))
    return [row for row in entries(found[1]) if row["path"] in wanted]


@app.get("/api/{plural}/{user}/{name}")
@app.get("/api/{plural}/{user}/{name}/revision/{revision:path}")
def info(plural: str, user: str, name: str, revision: str = "main"):
    found = located(plural, user, name, revision)
    if isinstance(found, Response):
        return found
    repository = hub.find(kinds(plural), f"{user}/{name}")
    siblings = [{"rfilename": path} for path in sorted(found[1])]
    tags = ["timm", "image-classification"]
    return {"id": f"{user}/{name}", "sha": found[0], "siblings": siblings, "private": repository.private, "tags": tags}


def located(plural, user, name, revision):
    repository = hub.find(kinds(plural), f"{user}/{name}")
    if repository is None:
        return error(404, "RepoNotFound", "Repository not found")
    oid, files = repository.files(revision)
    return (oid, files) if oid else error(404, "RevisionNotFound", f"Invalid rev id: {revision}")


@app.api_route("/{user}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
@app.api_route("/{plural}/{user}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
def resolve(user: str, name: str, revision: str, path: str, request: Request, plural: str = "models"):
    found = located(plural, user, name, revision)
    if isinstance(found, Response):
        return found
    oid, files = found
    if path not in files:
        return error(404, "EntryNotFound", f"{path} does not exist")
    body = files[path]
    row = entries({path: body})[0]
    etag = row["lfs"]["oid"] if "lfs" in row else row["oid"]
    headers = {"X-Repo-Commit": oid, "ETag": f'"{etag}"', "Accept-Ranges": "bytes", "Content-Length": str(len(body))}
    if "lfs" in row:
        headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(body))}
    if request.method == "HEAD":
        return Response(headers=headers)
    span = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if span:
        start, end = int(span[1]), int(span[2] or len(body) - 1)
        headers |= {"Content-Range": f"bytes {start}-{end}/{len(body)}", "Content-Length": str(end - start + 1)}
        return Response(body[start : end + 1], 206, headers, "application/octet-stream")
    return Response(body, 200, headers, "application/octet-stream")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="critical")  # injected faults are no news
