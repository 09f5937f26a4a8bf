"""Compares pictures pixel for pixel: prints each pair that differs.

Run: blender --background --factory-startup --python-exit-code 1 --python compare.py -- ONE OTHER [ONE OTHER ...]
"""

import sys

import bpy


def pixels(path):
    image = bpy.data.images.load(path)
    return tuple(image.size), image.pixels[:]


paths = sys.argv[sys.argv.index("--") + 1:]
for one, other in zip(paths[::2], paths[1::2]):
    if pixels(one) != pixels(other):
        print("DIFFERENT", one, sep="\t", flush=True)
