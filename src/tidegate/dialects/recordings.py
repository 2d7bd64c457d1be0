"""What kind of recording a file is: by its first bytes, else by its name, else by what the client calls it.

Source: the formats' own definitions (RIFF, ID3v2, ISO/IEC 11172-3, ISO/IEC 13818-7, AIFF, RFC 3533, RFC 9639,
ISO/IEC 14496-12, Matroska).
"""

from typing import Final

_SIGNATURES: Final = (
    (0, b"ID3", "mp3"),
    (0, b"OggS", "ogg"),
    (0, b"fLaC", "flac"),
    (0, b"ADIF", "aac"),
    (4, b"ftyp", "mp4"),
    (0, b"\x1aE\xdf\xa3", "webm"),
    (0, b"#!AMR", "amr"),
    (0, b"caff", "caf"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "wma"),
)
_RIFF: Final = {(b"RIFF", b"WAVE"): "wav", (b"FORM", b"AIFF"): "aiff", (b"FORM", b"AIFC"): "aiff"}
_NAMES: Final = {
    **dict.fromkeys(("wav", "wave", "x-wav", "vnd.wave"), "wav"),
    **dict.fromkeys(("mp3", "mpeg", "mpga", "x-mp3"), "mp3"),
    **dict.fromkeys(("aif", "aiff", "aifc", "x-aiff"), "aiff"),
    **dict.fromkeys(("aac", "x-aac", "aacp"), "aac"),
    **dict.fromkeys(("ogg", "oga", "opus"), "ogg"),
    **dict.fromkeys(("flac", "x-flac"), "flac"),
    **dict.fromkeys(("mp4", "m4a", "x-m4a"), "mp4"),
    "webm": "webm",
}
"""Endings of file names, and subtypes of media types."""


def recording_format(content: bytes, name: str, media_type: str) -> str:
    """`wav`, `mp3`, `aiff`, `aac`, `ogg`, `flac`, `mp4`, `webm` and others; "" if nothing tells."""
    told = _by_bytes(content)
    if told:
        return told
    _, dot, ending = name.rpartition(".")
    return (_NAMES.get(ending.lower(), "") if dot else "") or _NAMES.get(media_type.rpartition("/")[2], "")


def _by_bytes(content: bytes) -> str:
    for at, signature, kind in _SIGNATURES:
        if content[at : at + len(signature)] == signature:
            return kind
    container = _RIFF.get((content[:4], content[8:12]))
    if container is not None:
        return container
    if len(content) > 1 and content[0] == 0xFF and content[1] & 0xE0 == 0xE0:
        # The sync word of both; the layer tells them apart, and AAC has none.
        return "mp3" if content[1] & 0x06 else "aac"
    return ""
