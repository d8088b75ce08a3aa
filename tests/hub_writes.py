"""What changes a small Hub's repositories: uploads, commits, branches, tags, pull requests."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import urlencode

from tests.hub_calls import Call, Response, User, route, told
from tests.hub_reads import check_link, paged
from tests.hub_store import Discussion, HubError, Repo, is_large

PART = 5 * 2**20  # bytes; a larger LFS object is uploaded in parts of this size
COMMITS_PAGE = 50


def may_commit(call: Call, repo: Repo, revision: str) -> User:
    """Return the caller, who may commit to a branch, or to a pull request of its own."""
    number = revision.removeprefix("refs/pr/")
    if number != revision and number.isdigit():
        user = call.writer()
        if repo.discussion(int(number)).author == user.name:
            return user
    return call.writer(repo.namespace)


# Uploads


@route("POST", "{api}/preupload/{revision}")
def preupload(call: Call) -> Response:
    """Tell which files go to LFS, and which the revision has already."""
    repo, commit = call.commit()
    _ = call.writer() if call.asked("create_pr") else may_commit(call, repo, call.revision)
    attributes = call.hub.store.attributes(commit.files)
    found = []
    for file in call.json["files"]:
        path, sample = file["path"], base64.b64decode(file["sample"])
        lfs = is_large(attributes, path, file["size"], sample)
        one = {"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
        known = {"oid": commit.files[path].etag} if path in commit.files else {}
        found.append(one | known)
    return told({"files": found, "commitOid": commit.sha})


@route("POST", "{web}.git/info/lfs/objects/batch")
def lfs_batch(call: Call) -> Response:
    """Tell where to upload LFS objects that the repository has not got."""
    repo = call.repo()
    ref = call.json.get("ref")
    _ = may_commit(call, repo, ref["name"]) if ref else call.writer()
    objects = call.json["objects"]
    several = any(thing["size"] > PART for thing in objects)
    transfer = "multipart" if several and "multipart" in call.json["transfers"] else "basic"
    return told({"transfer": transfer, "objects": [_actions(call, repo, o) for o in objects]})


def _actions(call: Call, repo: Repo, thing: dict[str, Any]) -> dict[str, Any]:
    oid, size = thing["oid"], thing["size"]
    if oid in repo.objects:
        return {"oid": oid, "size": size}
    header: dict[str, str] = {}
    href = _signed(call, "lfs", repo, oid, size, 0)
    if size > PART:
        numbers = range(1, -(-size // PART) + 1)
        header = {f"{n:05}": _signed(call, "lfs", repo, oid, size, n) for n in numbers}
        header["chunk_size"] = str(PART)
        href = _signed(call, "lfs-complete", repo, oid, size, 0)
    verify = {"href": f"{call.link(repo)}.git/info/lfs/objects/verify"}
    actions = {"upload": {"href": href, "header": header}, "verify": verify}
    return {"oid": oid, "size": size, "actions": actions}


def _signed(call: Call, name: str, repo: Repo, oid: str, size: int, part: int) -> str:
    whole = {"repo": f"{repo.kind} {repo.name}", "size": size, "part": part}
    signature = call.hub.signature(f"{oid} {repo.kind} {repo.name} {size} {part}")
    return f"{call.hub.cdn}/{name}/{oid}?{urlencode({**whole, 'Signature': signature})}"


def _upload(call: Call) -> tuple[Repo, str, int, int]:
    """Return what a signed link lets somebody upload: repository, object, size, part."""
    oid, size, part = call.named["oid"], call.asked("size"), call.asked("part")
    check_link(call, f"{oid} {call.asked('repo')} {size} {part}")
    kind, name = call.asked("repo").split()
    if (repo := call.hub.store.repos.get((kind, name))) is None:
        raise HubError(404, "Repository not found", "RepoNotFound")
    return repo, oid, int(size), int(part)


@route("PUT", "/lfs/{oid}")
def lfs_upload(call: Call) -> Response:
    """Take an LFS object, or a part of one."""
    repo, oid, size, part = _upload(call)
    if part:
        call.hub.parts[oid, part] = call.request.body
    else:
        _take(call, repo, oid, size, call.request.body)
    etag = hashlib.md5(call.request.body, usedforsecurity=False).hexdigest()
    return Response(200, b"", {"ETag": f'"{etag}"'})


@route("POST", "/lfs-complete/{oid}")
def lfs_complete(call: Call) -> Response:
    """Put an LFS object together from its parts."""
    repo, oid, size, _ = _upload(call)
    try:
        parts = [call.hub.parts.pop((oid, part["partNumber"])) for part in call.json["parts"]]
    except KeyError:
        raise HubError(400, "One or more of the specified parts could not be found") from None
    _take(call, repo, oid, size, b"".join(parts))
    return told({})


def _take(call: Call, repo: Repo, oid: str, size: int, content: bytes) -> None:
    if (hashlib.sha256(content).hexdigest(), len(content)) != (oid, size):
        raise HubError(400, "The content does not have the checksum that was announced")
    call.hub.store.blobs.put(oid, content)
    repo.arrived[oid] = size


@route("POST", "{web}.git/info/lfs/objects/verify")
def lfs_verify(call: Call) -> Response:
    """Let commits name an LFS object that has arrived."""
    repo = call.repo()
    call.writer()
    oid = call.json["oid"]
    if repo.arrived.get(oid) != call.json["size"]:
        raise HubError(404, f"LFS object {oid} was not uploaded")
    repo.objects[oid] = repo.arrived[oid]
    return told({})


# Commits


@route("POST", "{api}/commit/{revision}")
def commit(call: Call) -> Response:
    """Commit to a branch or pull request, or to a new pull request."""
    repo = call.repo()
    pull = bool(call.asked("create_pr"))
    user = call.writer() if pull else may_commit(call, repo, call.revision)
    lines = [json.loads(line) for line in call.request.body.splitlines() if line]
    header = lines.pop(0)["value"]
    ref = repo.moving(call.revision)
    parent = repo.commits[repo.refs[ref]]
    wanted = header.get("parentCommit")
    if pull and wanted:
        parent = repo.resolve(wanted)
    repo.check_parent(parent.sha, wanted)
    files = call.hub.store.applied(repo, parent.files, lines)
    title, message = header["summary"], header.get("description", "")
    made = repo.add_commit(parent.sha, files, title, message, user.name)
    found = {"success": True, "commitOid": made.sha, "hookOutput": ""}
    found["commitUrl"] = f"{call.link(repo)}/commit/{made.sha}"
    if pull:
        opened = repo.open_pull(title, user.name, parent.sha, made.sha, "open")
        opened.comment(user.name, message)
        found["pullRequestUrl"] = f"{call.link(repo)}/discussions/{opened.num}"
    else:
        repo.refs[ref] = made.sha
    return told(found)


@route("GET", "{api}/commits/{revision}")
def commits(call: Call) -> Response:
    """List the commits that led to a revision."""
    history = call.repo().history(call.revision)
    found = [
        {
            "id": one.sha,
            "title": one.title,
            "message": one.message,
            "authors": [{"user": one.author}],
            "date": one.date,
        }
        for one in history
    ]
    return paged(call, found, COMMITS_PAGE)


# Branches and tags


@route("GET", "{api}/refs")
def refs(call: Call) -> Response:
    """List branches, tags and, where they are asked for, pull requests."""
    found: dict[str, list[dict[str, str]]] = {"branches": [], "converts": [], "tags": []}
    if call.asked("include_prs"):
        found["pullRequests"] = []
    places = {"heads": "branches", "tags": "tags", "pr": "pullRequests"}
    for ref, sha in call.repo().refs.items():
        kind, _, name = ref.partition("/")
        one = {"name": name, "ref": f"refs/{ref}", "targetCommit": sha}
        found.get(places[kind], []).append(one)
    return told(found)


@route("POST", "{api}/branch/{name}")
def create_branch(call: Call) -> Response:
    """Create a branch."""
    repo = call.repo()
    call.writer(repo.namespace)
    start = call.json.get("startingPoint") or "main"
    repo.create_ref("heads", call.named["name"], start, "branch")
    return told({})


@route("DELETE", "{api}/branch/{name}")
def delete_branch(call: Call) -> Response:
    """Delete a branch."""
    repo = call.repo()
    call.writer(repo.namespace)
    repo.delete_ref("heads", call.named["name"])
    return told({})


@route("POST", "{api}/tag/{revision}")
def create_tag(call: Call) -> Response:
    """Create a tag."""
    repo = call.repo()
    call.writer(repo.namespace)
    repo.create_ref("tags", call.json["tag"], call.revision, "tag")
    return told({})


@route("DELETE", "{api}/tag/{name}")
def delete_tag(call: Call) -> Response:
    """Delete a tag."""
    repo = call.repo()
    call.writer(repo.namespace)
    repo.delete_ref("tags", call.named["name"])
    return told({})


# Discussions and pull requests


def _brief(repo: Repo, found: Discussion) -> dict[str, Any]:
    return {
        "num": found.num,
        "title": found.title,
        "author": {"name": found.author},
        "createdAt": found.date,
        "status": found.status,
        "repo": {"name": repo.name, "type": repo.kind},
        "isPullRequest": bool(found.fork),
    }


@route("GET", "{api}/discussions")
def discussions(call: Call) -> Response:
    """List discussions and pull requests, newest first."""
    repo = call.repo()
    found = [_brief(repo, one) for one in reversed(repo.discussions)]
    if status := call.asked("status"):
        found = [one for one in found if (one["status"] in ("open", "draft")) == (status == "open")]
    if kind := call.asked("type"):
        found = [one for one in found if one["isPullRequest"] == (kind == "pull_request")]
    return told({"discussions": found, "count": len(found), "start": 0})


@route("POST", "{api}/discussions")
def create_discussion(call: Call) -> Response:
    """Open a discussion, or a pull request without changes as a draft."""
    repo, user = call.repo(), call.writer()
    title, main = call.json["title"], repo.resolve("main").sha
    if call.json.get("pullRequest"):
        found = repo.open_pull(title, user.name, main, main, "draft")
    else:
        found = Discussion(len(repo.discussions) + 1, title, user.name, "", "open")
        repo.discussions.append(found)
    found.comment(user.name, call.json.get("description", ""))
    return told(_brief(repo, found))


@route("GET", "{api}/discussions/{num}")
def discussion(call: Call) -> Response:
    """Tell all about a discussion or pull request."""
    repo = call.repo()
    found = repo.discussion(int(call.named["num"]))
    details = _brief(repo, found) | {"events": found.events}
    if found.fork:
        details["changes"] = {"base": "refs/heads/main", "mergeCommitId": found.merged}
        details["filesWithConflicts"] = [] if found.merged else repo.conflicts(found)
        details["diff"] = ""
    return told(details)


def _changing(call: Call) -> tuple[Repo, Discussion, User]:
    repo, user = call.repo(), call.writer()
    found = repo.discussion(int(call.named["num"]))
    if user.name != found.author:
        call.writer(repo.namespace)
    return repo, found, user


@route("POST", "{api}/discussions/{num}/status")
def change_status(call: Call) -> Response:
    """Close or open a discussion or pull request."""
    _, found, user = _changing(call)
    status = call.json["status"]
    if status == found.status or found.merged:
        raise HubError(400, f"This discussion already has status {found.status}")
    found.status = status
    return told({"newStatus": found.add("status-change", user.name, {"status": status})})


@route("POST", "{api}/discussions/{num}/merge")
def merge(call: Call) -> Response:
    """Merge a pull request into main."""
    repo, found, user = _changing(call)
    call.writer(repo.namespace)
    if not found.fork:
        raise HubError(400, "This discussion is no pull request")
    repo.merge(found, user.name)
    return told({})


@route("POST", "{api}/discussions/{num}/comment")
def comment(call: Call) -> Response:
    """Say something about a pull request."""
    found = call.repo().discussion(int(call.named["num"]))
    return told({"newMessage": found.comment(call.writer().name, call.json["comment"])})
