"""A script of the kind people wrote around AlexeyAB's darknet.py; its import line is all it shares.

Run by test_darknet_dropin.py, with darknet_py or with the compiled library behind the import.
"""

import argparse
import os
import random
import sys
import time

import cv2

if os.environ.get("DARKNET_LIBRARY"):
    sys.path.insert(0, os.environ["DARKNET_LIBRARY"])
    import darknet
else:
    from darknet_py import darknet


def read_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--input", default="")
    parser.add_argument("--batch_size", default=1, type=int)
    parser.add_argument("--weights", default="yolov4.weights")
    parser.add_argument("--dont_show", action="store_true")
    parser.add_argument("--ext_output", action="store_true")
    parser.add_argument("--save_labels", action="store_true")
    parser.add_argument("--config_file", default="yolov4.cfg")
    parser.add_argument("--data_file", default="coco.data")
    parser.add_argument("--thresh", type=float, default=0.25)
    return parser.parse_args()


def find_objects(path, network, class_names, class_colors, thresh):
    width, height = darknet.network_width(network), darknet.network_height(network)
    buffer = darknet.make_image(width, height, 3)
    picture = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
    picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    darknet.copy_image_from_bytes(buffer, picture.tobytes())
    found = darknet.detect_image(network, class_names, buffer, thresh=thresh)
    darknet.free_image(buffer)
    return darknet.draw_boxes(found, picture, class_colors), found


def main():
    args = read_arguments()
    random.seed(3)
    network, class_names, class_colors = darknet.load_network(
        args.config_file, args.data_file, args.weights, batch_size=args.batch_size
    )
    paths = [args.input]
    if args.input.endswith(".txt"):
        with open(args.input) as file:
            paths = file.read().splitlines()
    for path in paths:
        start = time.time()
        picture, found = find_objects(path, network, class_names, class_colors, args.thresh)
        darknet.print_detections(found, args.ext_output)
        if args.save_labels:
            height, width, _ = picture.shape
            with open(os.path.splitext(path)[0] + ".txt", "w") as file:
                for name, confidence, (x, y, w, h) in found:
                    box = f"{x / width:.4f} {y / height:.4f} {w / width:.4f} {h / height:.4f}"
                    file.write(f"{class_names.index(name)} {box} {float(confidence):.4f}\n")
        fps = int(1 / (time.time() - start))
        sys.stderr.write(f"FPS: {fps}\n")
        sys.stdout.write(f"picture {picture.shape} {int(picture.sum())}\n")


main()
