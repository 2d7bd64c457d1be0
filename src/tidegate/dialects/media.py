"""`data:` URLs, as chat dialects carry images and documents. Source: RFC 2397."""


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
