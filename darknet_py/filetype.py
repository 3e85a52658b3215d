"""What a file is: a picture by its ending, something given by mistake by its first bytes."""

from __future__ import annotations

PICTURES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""The endings, in small letters, of what counts as a picture in a folder."""

_MAGIC = (
    (b"PK\x03\x04", "a zip archive, such as a PyTorch .pt or .pth file"),
    (b"\x80\x02", "a pickle, such as an old PyTorch .pt or .pth file"),
    (b"\x80\x03", "a pickle"),
    (b"\x80\x04", "a pickle"),
    (b"\x80\x05", "a pickle"),
    (b"\x89HDF", "an HDF5 file, such as a Keras model"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x1f\x8b", "gzip data: unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (b"Rar!", "a RAR archive: unpack it first"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"%PDF", "a PDF file"),
)
_PAGE = (b"<!doctype", b"<html", b"<?xml", b"<head")
_ONNX_FIELDS = b"\x12\x1a\x22\x2a\x32\x3a\x42"


def describe(start: bytes) -> str | None:
    """What a file is that starts with `start` (some hundred bytes), if it is surely no .weights."""
    for magic, kind in _MAGIC:
        if start.startswith(magic):
            return kind
    if len(start) > 2 and start[0] == 8 and start[1] <= 20 and start[2] in _ONNX_FIELDS:
        return "an ONNX model"
    if start[8:10] == b'{"' and start[7:8] == b"\0":
        return "a safetensors file"
    if start[4:8] == b"TFL3":
        return "a TensorFlow Lite model"
    return _text(start)


def _text(start: bytes) -> str | None:
    text = start.removeprefix(b"\xef\xbb\xbf").strip()
    if not text or any(byte < 9 or 13 < byte < 32 for byte in text):
        return None
    if text.lower().startswith(_PAGE):
        return "a web page (the download went wrong)"
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer (fetch the file itself with git lfs pull)"
    if b"[net]" in text or b"[network]" in text:
        return "a .cfg file"
    return "text"
