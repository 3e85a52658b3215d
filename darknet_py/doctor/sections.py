"""What can be seen in the text of a cfg: repeated keys, batch, masks, anchors, filters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from darknet_py.cfg import Section
from darknet_py.dialect import ALEXEYAB
from darknet_py.doctor.finding import Finding, at, number_of, numbers_of
from darknet_py.network import find_dialect

CONVOLUTIONS = ("conv", "convolutional")
YOLO_HEADS = {"yolo": 5, "Gaussian_yolo": 9}
"""Heads with masks, and how many values a box has beside its classes."""
HEADS = (*YOLO_HEADS, "region", "detection")


def dialect_reason(sections: Sequence[Section]) -> str:
    """What makes `network.find_dialect` choose as it does."""
    net = replace(sections[0], entries=())
    for section in sections:
        before = [] if section is sections[0] else [net]
        if find_dialect([*before, replace(section, entries=())]) is ALEXEYAB:
            return f"[{section.type}] in line {section.line} is read by that fork alone"
        for entry in section.entries:
            if find_dialect([*before, replace(section, entries=(entry,))]) is ALEXEYAB:
                return f"{entry.key} in line {entry.line} is read by that fork alone"
    return "nothing in it is AlexeyAB's alone (-dialect alexeyab chooses that fork)"


def check_sections(sections: Sequence[Section]) -> Iterator[Finding]:
    """What can be seen in the text: repeated keys, batch, heads."""
    for section in sections:
        for key in section.options:
            places = [str(entry.line) for entry in section.entries if entry.key == key]
            if len(places) > 1:
                yield at(
                    "warning",
                    section,
                    f"{key} is given {len(places)} times (lines {', '.join(places)}), the first "
                    f"counts: {section.options[key].value}",
                    "delete the others",
                    key,
                )
    net = sections[0]
    batch, parts = number_of(net, "batch", 1), number_of(net, "subdivisions", 1)
    if parts > batch or batch % max(parts, 1):
        yield at(
            "warning",
            net,
            f"batch={batch} is no multiple of subdivisions={parts}, "
            f"training uses {max(batch // max(parts, 1), 0)} images at a time",
            "make batch a multiple of subdivisions",
            "batch",
        )
    heads = [i for i, section in enumerate(sections) if section.type in HEADS]
    for index in heads:
        yield from _check_head(sections[index], sections[index - 1])
    counts = {classes_of(sections[index]) for index in heads}
    if len(counts) > 1:
        yield at(
            "error",
            sections[heads[-1]],
            f"the heads have different classes: {', '.join(map(str, sorted(counts)))}",
            "give all the same",
            "classes",
        )


def _check_head(head: Section, before: Section) -> Iterator[Finding]:
    """Masks, anchors, and the filters of the layer before."""
    number = number_of(head, "num", 1)
    anchors, mask = numbers_of(head, "anchors"), numbers_of(head, "mask")
    listed = len(anchors) // 2 or number
    used = (mask if head.type in YOLO_HEADS else []) or [number - 1]
    if head.type != "detection" and anchors and len(anchors) != 2 * number:
        yield at(
            "warning" if max(used) < listed else "error",
            head,
            f"anchors holds {len(anchors)} numbers, num={number} needs {2 * number}",
            f"set num={listed}, or mend the anchors",
            "anchors",
        )
    for value in used:
        if not 0 <= value < number:
            yield at(
                "warning" if 0 <= value < listed else "error",
                head,
                f"mask names anchor {value:g}, num={number} has 0 to {number - 1}",
                "mend mask or num",
                "mask",
            )
    wanted = filters_of(head, classes_of(head))
    if before.type in CONVOLUTIONS and wanted is not None:
        filters = number_of(before, "filters", 1)
        if filters != wanted:
            yield at(
                "error",
                before,
                f"filters={filters}, but [{head.type}] in line "
                f"{head.line} with {classes_of(head)} classes reads {wanted}",
                f"set filters={wanted}",
                "filters",
            )


def classes_of(head: Section) -> int:
    """How many classes a head scores, by its cfg."""
    return number_of(head, "classes", 1 if head.type == "detection" else 20)


def filters_of(head: Section, classes: int) -> int | None:
    """How many filters a head with that many classes reads; None where it reads no map."""
    number = number_of(head, "num", 1)
    if head.type in YOLO_HEADS:
        return (len(numbers_of(head, "mask")) or number) * (classes + YOLO_HEADS[head.type])
    if head.type == "region":
        return number * (classes + number_of(head, "coords", 4) + 1)
    return None
