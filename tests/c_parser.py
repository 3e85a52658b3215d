"""C's own cfg parser, in a process of its own: its library turns off denormal numbers.

Reads paths from standard input, one a line, and answers with the sections as a line of JSON.
"""

import ctypes
import json
import sys
from pathlib import Path

LIBRARY = next(Path("/usr/lib").glob("*/libdarknet.so*"), None)


class Node(ctypes.Structure):
    pass


class List(ctypes.Structure):
    _fields_ = [("size", ctypes.c_int), ("front", ctypes.POINTER(Node))]

    def __iter__(self):
        node = self.front
        while node:
            yield node.contents.value
            node = node.contents.next


class Pair(ctypes.Structure):
    _fields_ = [("key", ctypes.c_char_p), ("value", ctypes.c_char_p)]


class Section(ctypes.Structure):
    _fields_ = [("type", ctypes.c_char_p), ("options", ctypes.POINTER(List))]


Node._fields_ = [("value", ctypes.c_void_p), ("next", ctypes.POINTER(Node))]


def text(data):
    return None if data is None else data.decode("utf-8")


def main():
    read = ctypes.CDLL(str(LIBRARY)).read_cfg
    read.restype = ctypes.POINTER(List)
    for path in sys.stdin:
        sections = []
        for pointer in read(path.rstrip("\n").encode()).contents:
            section = Section.from_address(pointer)
            pairs = [Pair.from_address(p) for p in section.options.contents]
            sections.append((text(section.type), [(text(p.key), text(p.value)) for p in pairs]))
        sys.stdout.write(json.dumps(sections) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
