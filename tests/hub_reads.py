"""What a small Hub tells: who somebody is, about repositories, and the files of a revision."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

import yaml

from tests.hub_calls import Call, Response, route, told
from tests.hub_store import Commit, File, Files, HubError, lfs_file, pointer

PAGE = 1000  # entries of a tree
CARD = re.compile(r"\A---\r?\n(.*?)^---\s*$", re.DOTALL | re.MULTILINE)

# Who, and which repositories


@route("GET", "/api/whoami-v2")
def whoami(call: Call) -> Response:
    """Tell who a token belongs to."""
    user = call.signed_in()
    orgs = [{"type": "org", "name": name, "roleInOrg": role} for name, role in user.orgs.items()]
    token = {"displayName": "tests", "role": user.role}
    auth = {"type": "access_token", "accessToken": token}
    return told(
        {"type": "user", "name": user.name, "fullname": user.name, "orgs": orgs, "auth": auth}
    )


@route("POST", "/api/repos/create")
def create_repo(call: Call) -> Response:
    """Create a repository."""
    kind, name = call.json.get("type") or "model", call.json["name"]
    namespace = call.json.get("organization") or call.signed_in().name
    try:
        call.writer(namespace)
    except HubError as error:
        words = f'You don\'t have the rights to create a {kind} under the namespace "{namespace}"'
        raise HubError(error.status, words) from error
    if old := call.hub.store.repos.get((kind, f"{namespace}/{name}")):
        message = f"You already created this {kind} repo"
        return told({"error": message, "url": call.link(old)}, 409, X_Error_Message=message)
    private = call.json.get("visibility") == "private" or bool(call.json.get("private"))
    repo = call.hub.store.create(kind, f"{namespace}/{name}", private)
    return told({"url": call.link(repo), "name": repo.name, "id": repo.name})


@route("DELETE", "/api/repos/delete")
def delete_repo(call: Call) -> Response:
    """Delete a repository."""
    namespace = call.json.get("organization") or call.signed_in().name
    repo = call.repo(f"{namespace}/{call.json['name']}", call.json.get("type") or "model")
    call.writer(repo.namespace)
    del call.hub.store.repos[repo.kind, repo.name]
    return told({})


@route("GET", "{api}/auth-check")
@route("GET", "{api}/auth-check/write")
def check_rights(call: Call) -> Response:
    """Tell whether the caller may read, or write."""
    repo = call.repo()
    if call.request.path.endswith("/write"):
        call.writer(repo.namespace)
    return told({})


@route("PUT", "{api}/settings")
def change_settings(call: Call) -> Response:
    """Show or hide a repository, and ask readers to sign up."""
    repo = call.repo()
    call.writer(repo.namespace)
    if "visibility" in call.json:
        repo.private = call.json["visibility"] == "private"
    repo.gated = call.json.get("gated", repo.gated)
    return told({"private": repo.private, "gated": repo.gated})


@route("GET", "{api}")
@route("GET", "{api}/revision/{revision}")
def repo_info(call: Call) -> Response:
    """Tell about a repository at a revision."""
    repo, commit = call.commit()
    card = _card(call, commit.files)
    found: dict[str, Any] = {
        "author": repo.namespace,
        "cardData": card,
        "createdAt": repo.created,
        "disabled": False,
        "downloads": 0,
        "gated": repo.gated,
        "lastModified": commit.date,
        "likes": 0,
        "private": repo.private,
        "sha": commit.sha,
        "siblings": _siblings(commit.files, bool(call.asked("blobs"))),
        "tags": [f"license:{card['license']}"] if "license" in card else [],
        "usedStorage": sum(repo.objects.values()),
    }
    wanted = call.request.query.get("expand") or found
    return told({"id": repo.name} | {key: found[key] for key in wanted if key in found})


def _card(call: Call, files: Files) -> dict[str, Any]:
    readme = files.get("README.md")
    text = call.hub.store.blobs.get(readme).decode("utf-8", "replace") if readme else ""
    try:
        return _metadata(text)
    except HubError:
        return {}


def _metadata(text: str) -> dict[str, Any]:
    block = CARD.match(text)
    try:
        found = yaml.safe_load(block[1]) if block else None
    except yaml.YAMLError as error:
        raise HubError(400, f"invalid YAML: {error}") from error
    if found is not None and not isinstance(found, dict):
        raise HubError(400, "the metadata is no mapping")
    return found or {}


def _siblings(files: Files, blobs: bool) -> list[dict[str, Any]]:
    names = [{"rfilename": path} for path in sorted(files)]
    if not blobs:
        return names
    return [name | _blob(files[name["rfilename"]]) for name in names]


def _blob(file: File) -> dict[str, Any]:
    found: dict[str, Any] = {"size": file.size, "blobId": file.oid}
    if file.sha256:
        size = len(pointer(file.sha256, file.size))
        found["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": size}
    return found


@route("POST", "/api/validate-yaml")
def validate_card(call: Call) -> Response:
    """Check the metadata of a README."""
    try:
        found = _metadata(call.json["content"])
    except HubError as error:
        return told({"errors": [{"message": error.message}], "warnings": []}, 400)
    message = "empty or missing yaml metadata in repo card"
    return told({"errors": [], "warnings": [] if found else [{"message": message}]})


# What a revision holds


def paged(call: Call, found: Sequence[dict[str, Any]], size: int) -> Response:
    """Tell a page of a list, and where the next one is."""
    start = int(call.asked("cursor") or 0)
    page = told(found[start : start + size], X_Total_Count=str(len(found)))
    if start + size >= len(found):
        return page
    query = urlencode({**call.request.query, "cursor": [start + size]}, doseq=True)
    link = f'<{call.hub.url}{call.request.path}?{query}>; rel="next"'
    return Response(200, page.body, {**page.headers, "Link": link})


@route("GET", "{api}/tree/{revision}")
@route("GET", "{api}/tree/{revision}/{path}")
def tree(call: Call) -> Response:
    """List the files and folders of a folder."""
    _, commit = call.commit()
    folder = call.named.get("path", "").strip("/")
    if folder in commit.files:
        return told([_entry(folder, commit.files)])
    prefix = f"{folder}/" if folder else ""
    below = [path for path in commit.files if path.startswith(prefix)]
    if folder and not below:
        raise HubError(404, f"{folder} does not exist", "EntryNotFound", X_Repo_Commit=commit.sha)
    if call.asked("recursive").lower() in ("1", "true"):
        names = {*below, *(p for path in below for p in _folders(path) if p.startswith(prefix))}
    else:
        names = {prefix + path.removeprefix(prefix).split("/")[0] for path in below}
    return paged(call, [_entry(name, commit.files) for name in sorted(names)], PAGE)


def _folders(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def _entry(path: str, files: Files) -> dict[str, Any]:
    file = files.get(path)
    if file is None:
        below = sorted((p, f.oid) for p, f in files.items() if p.startswith(f"{path}/"))
        oid = hashlib.sha1(repr(below).encode(), usedforsecurity=False).hexdigest()
        return {"type": "directory", "oid": oid, "size": 0, "path": path}
    found: dict[str, Any] = {"type": "file", "oid": file.oid, "size": file.size, "path": path}
    if lfs := _blob(file).get("lfs"):
        found["lfs"] = {"oid": lfs["sha256"], "size": file.size, "pointerSize": lfs["pointerSize"]}
    return found


@route("POST", "{api}/paths-info/{revision}")
def paths_info(call: Call) -> Response:
    """Tell about some files and folders."""
    _, commit = call.commit()
    wanted = parse_qs(call.request.body.decode()).get("paths", [])
    known = {*commit.files, *(folder for path in commit.files for folder in _folders(path))}
    return told([_entry(path, commit.files) for path in wanted if path in known])


@route("GET", "{web}/resolve/{revision}/{path}")
def resolve(call: Call) -> Response:
    """Serve a file, or tell where the CDN serves it."""
    commit, file = _found(call)
    headers = {"X-Repo-Commit": commit.sha}
    if not file.sha256:
        return _content(call, call.hub.store.blobs.get(file), {**headers, "ETag": f'"{file.oid}"'})
    path = f"/cdn/{file.sha256}/{quote(call.named['path'])}"
    headers["Location"] = f"{call.hub.cdn}{path}?Signature={call.hub.signature(file.sha256)}"
    headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size)}
    return Response(302, b"", {**headers, "ETag": f'"{file.oid}"'})


@route("GET", "{web}/raw/{revision}/{path}")
def raw(call: Call) -> Response:
    """Serve what git keeps of a file."""
    _, file = _found(call)
    lfs = pointer(file.sha256, file.size) if file.sha256 else None
    return _content(call, lfs or call.hub.store.blobs.get(file), {"ETag": f'"{file.oid}"'})


def _found(call: Call) -> tuple[Commit, File]:
    _, commit = call.commit()
    file = commit.files.get(call.named["path"])
    if file is None:
        raise HubError(404, "Entry not found", "EntryNotFound", X_Repo_Commit=commit.sha)
    return commit, file


@route("GET", "/cdn/{sha256}/{path}")
def cdn(call: Call) -> Response:
    """Serve the content of an LFS file to who has a signed link, and no token."""
    sha256 = call.named["sha256"]
    check_link(call, sha256)
    content = call.hub.store.blobs.get(lfs_file(sha256, 0))
    return _content(call, content, {"ETag": f'"{hashlib.md5(content).hexdigest()}"'})  # noqa: S324


def check_link(call: Call, signed: str) -> None:
    """Refuse who has no signed link, and who sends a token to the CDN."""
    if "Authorization" in call.request.headers:
        raise HubError(400, "Only one auth mechanism allowed")
    if not hmac.compare_digest(call.asked("Signature"), call.hub.signature(signed)):
        raise HubError(403, "The request signature we calculated does not match")


def _content(call: Call, content: bytes, headers: dict[str, str]) -> Response:
    headers |= {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", call.request.headers.get("Range", ""))
    if not asked or not any(asked.groups()):
        return Response(200, content, headers)
    size = len(content)
    start = int(asked[1]) if asked[1] else max(0, size - int(asked[2]))
    end = min(size, int(asked[2]) + 1) if asked[1] and asked[2] else size
    if start >= end:
        return Response(416, b"", {**headers, "Content-Range": f"bytes */{size}"})
    return Response(
        206, content[start:end], {**headers, "Content-Range": f"bytes {start}-{end - 1}/{size}"}
    )
