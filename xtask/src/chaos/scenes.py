"""Stretches the turn of the tests' cube over as many frames as a chaos run has, so that no two frames are the same picture:
one that stands in another's place is then seen.

Run: blender --background --factory-startup --python-exit-code 1 --python scenes.py -- FOLDER NAME FRAMES [NAME FRAMES ...]
"""

import os
import sys

import bpy

folder, *pairs = sys.argv[sys.argv.index("--") + 1:]
for name, frames in zip(pairs[::2], map(int, pairs[1::2])):
    path = os.path.join(folder, name + ".blend")
    bpy.ops.wm.open_mainfile(filepath=path)
    bpy.context.preferences.edit.keyframe_new_interpolation_type = "LINEAR"
    cube = bpy.data.objects["Cube"]
    cube.animation_data_clear()
    for frame, angle in ((1, 0.0), (frames, 1.5)):
        cube.rotation_euler = (0.3, 0.0, angle)
        cube.keyframe_insert("rotation_euler", frame=frame)
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 1, frames
    bpy.ops.wm.save_as_mainfile(filepath=path, compress=True)
