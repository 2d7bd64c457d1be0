"""`data:` URLs, as dialects carry images and documents (RFC 2397), and what a picture is by its first bytes."""


def data_url(media_type: str, data: str) -> str:
    """`data` is base64."""
    return f"data:{media_type};base64,{data}"


def split_data_url(url: str) -> tuple[str, str] | None:
    """(media type, base64); None if `url` is no base64 data URL."""
    if url[:5].lower() != "data:":
        return None
    head, comma, data = url[5:].partition(",")
    media_type, *parameters = head.split(";")
    if not comma or "base64" not in (one.strip().lower() for one in parameters):
        return None
    return media_type.strip().lower() or "application/octet-stream", data


def picture_type(data: bytes) -> str:
    """The media type of a PNG, JPEG, GIF or WebP, by its first 12 bytes; "" for all else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return "image/webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else ""
