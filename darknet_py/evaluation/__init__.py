"""How good a network is: average precision, recall, top-k, and the files that others score.

`average_precision` and `report` hold the arithmetic and its text, `stream` runs a detector over
many pictures, `evaluate_map` in `detection` does both. `result_files` writes what VOC's, COCO's
and ImageNet's own tools read, `coco_tables` asks such a tool. `top_k` scores classifiers, and
`kmeans` finds anchors.
"""
