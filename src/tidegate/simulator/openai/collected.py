"""OpenAI's conversations, vector stores, containers and uploads, each for the API key that made it.

Source: `openai.types.conversations`, `vector_store`, `vector_stores`, `container_create_response`, `upload` of the SDK.
A store's files are ready at once, and a search finds all of them.
"""

import re
from typing import Any, Final

import msgspec

from tidegate.simulator.kept import Kept, Thing
from tidegate.simulator.openai.rejection import missing
from tidegate.simulator.rejection import Rejection
from tidegate.wire.message import Request
from tidegate.wire.multipart import Form, MultipartError, read_form

_PATH: Final = re.compile(rb"(?:/v1|/openai/v1|/openai)/(conversations|vector_stores|containers|uploads)((?:/[^/]+)*)")
_KINDS: Final = {"conversations": "conversation", "vector_stores": "vector_store", "containers": "container"}
_PREFIXES: Final = {"conversation": "conv_", "vector_store": "vs_", "container": "cntr_", "upload": "upload_"}
_HOUR: Final = 3_600

Json = dict[str, Any]
Told = tuple[bytes, bytes]
"""(content type, body)."""


def serves(request: Request) -> bool:
    return _PATH.fullmatch(request.path) is not None


def answer(kept: Kept, request: Request, key: str) -> Told:
    """Raises Rejection."""
    asked = _PATH.fullmatch(request.path)
    assert asked is not None  # noqa: S101 - the caller has matched it
    kind = _KINDS.get(asked[1].decode(), "upload")
    names = asked[2].decode("latin-1").split("/")[1:]
    method = request.method.decode("latin-1")
    if not names:
        return _json(_create(kept, request, kind, key) if method == "POST" else _list(kept, kind, key))
    thing = kept.thing(key, kind, names[0])
    if len(names) == 1:
        return _json(_whole(kept, request, thing, method))
    if kind == "upload":
        return _json(_upload(kept, request, thing, names[1]))
    if kind == "conversation":
        return _json(_items(kept, request, thing, method, names[2:]))
    if names[1] == "search":
        found = [_found(kept, key, name) for name in thing.inside]
        query = _body(request).get("query")
        return _json(
            {"object": "vector_store.search_results.page", "search_query": [query], "data": found, "has_more": False}
        )
    if len(names) == 4 and names[3] == "content":
        return b"application/octet-stream", kept.file(key, thing.inside[names[2]]["file_id"]).content
    return _json(_files(kept, request, thing, method, names[1:]))


def _create(kept: Kept, request: Request, kind: str, key: str) -> Json:
    body = _body(request)
    now = kept.seconds_now()
    told: Json = {"object": kind, "created_at": now}
    if kind == "upload":
        for field in ("bytes", "filename", "mime_type", "purpose"):
            if field not in body:
                raise missing(field)
        told |= {name: body[name] for name in ("bytes", "filename", "purpose")}
        told |= {"status": "pending", "expires_at": now + _HOUR}
    elif kind == "conversation":
        told["metadata"] = body.get("metadata") or {}
    elif kind == "container":
        if "name" not in body:
            raise missing("name")
        told |= {
            "name": body["name"],
            "status": "running",
            "expires_after": {"anchor": "last_active_at", "minutes": 20},
        }
    else:
        told |= {"name": body.get("name") or "", "metadata": body.get("metadata") or {}, "usage_bytes": 0}
    thing = kept.add_thing(_PREFIXES[kind], key, kind, told)
    for name in body.get("file_ids") or []:
        _put_file(kept, thing, name)
    for item in body.get("items") or []:
        _put_item(kept, thing, item)
    return _told(thing)


def _list(kept: Kept, kind: str, key: str) -> Json:
    return {"object": "list", "data": [_told(one) for one in kept.things(key, kind)], "has_more": False}


def _whole(kept: Kept, request: Request, thing: Thing, method: str) -> Json:
    match method:
        case "GET":
            return _told(thing)
        case "POST" if thing.kind in ("conversation", "vector_store"):
            thing.told |= {name: value for name, value in _body(request).items() if name in ("metadata", "name")}
            return _told(thing)
        case "DELETE" if thing.kind != "upload":
            kept.drop_thing(thing)
            return {"id": thing.id, "object": f"{thing.kind}.deleted", "deleted": True}
    raise Rejection(405, "Not allowed on this path.", code="method_not_supported")


def _upload(kept: Kept, request: Request, thing: Thing, verb: str) -> Json:
    if thing.told["status"] != "pending":
        raise Rejection(400, f"Upload {thing.id} is {thing.told['status']}.")
    if verb == "parts":
        name = kept.name("part_")
        thing.inside[name] = {"data": _form_value(request, "data")}
        return {"id": name, "object": "upload.part", "created_at": kept.seconds_now(), "upload_id": thing.id}
    if verb == "cancel":
        thing.told["status"] = "cancelled"
        return _told(thing)
    parts = _body(request).get("part_ids") or []
    content = b"".join(thing.inside[name]["data"] for name in parts if name in thing.inside)
    if len(content) != thing.told["bytes"] or not all(name in thing.inside for name in parts):
        raise Rejection(400, "The bytes of the parts are not those that the upload promised.", param="part_ids")
    file = kept.add_file(thing.key, thing.told["purpose"], thing.told["filename"], content)
    thing.told |= {"status": "completed"}
    described = {
        "id": file.id,
        "object": "file",
        "bytes": len(content),
        "created_at": file.created,
        "filename": file.name,
        "purpose": file.purpose,
        "status": "processed",
    }
    return {**_told(thing), "file": described}


def _items(kept: Kept, request: Request, thing: Thing, method: str, names: list[str]) -> Json:
    if names:
        item = thing.inside.get(names[0])
        if item is None:
            raise Rejection(404, f"Item with id '{names[0]}' not found.")
        if method == "GET":
            return item
        del thing.inside[names[0]]
        return _told(thing)
    made = [_put_item(kept, thing, item) for item in _body(request).get("items") or []] if method == "POST" else []
    shown = made if method == "POST" else list(thing.inside.values())[::-1]
    ends = {"first_id": shown[0]["id"] if shown else "", "last_id": shown[-1]["id"] if shown else ""}
    return {"object": "list", "data": shown, "has_more": False, **ends}


def _files(kept: Kept, request: Request, thing: Thing, method: str, names: list[str]) -> Json:
    if names[0] == "file_batches":
        made = (
            [_put_file(kept, thing, name) for name in _body(request).get("file_ids") or []] if method == "POST" else []
        )
        return {
            "id": names[1] if len(names) > 1 else kept.name("vsfb_"),
            "object": "vector_store.files_batch",
            "created_at": kept.seconds_now(),
            "vector_store_id": thing.id,
            "status": "completed",
            "file_counts": _counts(len(made)),
        }
    if len(names) == 1:
        if method == "POST":
            return _put_file(kept, thing, _file_id(request))
        return {"object": "list", "data": list(thing.inside.values()), "has_more": False}
    found = thing.inside.get(names[1])
    if found is None:
        raise Rejection(404, f"No file found with id '{names[1]}'.")
    if method == "DELETE":
        del thing.inside[names[1]]
        return {"id": names[1], "object": "vector_store.file.deleted", "deleted": True}
    return found


def _put_item(kept: Kept, thing: Thing, item: Json) -> Json:
    content = item.get("content")
    if isinstance(content, str):
        item = {**item, "content": [{"type": "input_text", "text": content}]}
    made = {"type": "message", "status": "completed", **item, "id": item.get("id") or kept.name("msg_")}
    thing.inside[made["id"]] = made
    return made


def _put_file(kept: Kept, thing: Thing, name: str) -> Json:
    file = kept.file(thing.key, name)
    if thing.kind == "container":
        made: Json = {
            "id": kept.name("cfile_"),
            "object": "container.file",
            "container_id": thing.id,
            "created_at": kept.seconds_now(),
            "bytes": len(file.content),
            "path": f"/mnt/data/{file.name}",
            "source": "user",
            "file_id": name,
        }
    else:
        made = {
            "id": name,
            "object": "vector_store.file",
            "created_at": kept.seconds_now(),
            "status": "completed",
            "usage_bytes": len(file.content),
            "vector_store_id": thing.id,
            "last_error": None,
            "file_id": name,
        }
    thing.inside[made["id"]] = made
    return made


def _found(kept: Kept, key: str, name: str) -> Json:
    file = kept.file(key, name)
    text = {"type": "text", "text": file.content.decode("utf-8", "replace")}
    return {"file_id": name, "filename": file.name, "score": 0.9, "attributes": {}, "content": [text]}


def _told(thing: Thing) -> Json:
    told = {"id": thing.id, **thing.told}
    if thing.kind == "vector_store":
        told |= {"status": "completed", "file_counts": _counts(len(thing.inside))}
    return told


def _counts(number: int) -> Json:
    return {"in_progress": 0, "completed": number, "failed": 0, "cancelled": 0, "total": number}


def _file_id(request: Request) -> str:
    if (request.header(b"content-type") or b"").startswith(b"multipart/"):
        return _form_value(request, "file_id").decode()
    return _body(request).get("file_id", "")


def _form_value(request: Request, name: str) -> bytes:
    try:
        form: Form = read_form(request.header(b"content-type") or b"", request.body)
    except MultipartError as error:
        raise Rejection(400, f"The form cannot be read: {error}") from error
    parts = form.named(name)
    if len(parts) != 1:
        raise missing(name)
    return form.value(parts[0])


def _body(request: Request) -> Json:
    try:
        return msgspec.json.decode(request.body or b"{}", type=Json)
    except msgspec.DecodeError as error:
        raise Rejection(400, f"We could not parse the JSON body of your request: {error}") from error


def _json(told: Json) -> Told:
    return b"application/json", msgspec.json.encode(told)
