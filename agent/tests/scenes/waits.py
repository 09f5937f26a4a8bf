"""Makes a scene whose frames wait, more than they compute: two processors are enough for a farm of them.

Run: blender --background --factory-startup --python-exit-code 1 --python waits.py -- FOLDER
"""

import os
import sys

import bpy

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from make import basic_scene, save

# As with frames that wait for a file server or a simulation: about a second, whatever the machine does.
WAIT = """
import time

import bpy


def wait(*_):
    time.sleep(1.0)


bpy.app.handlers.render_pre.append(wait)
"""


def make():
    basic_scene()
    text = bpy.data.texts.new("wait.py")
    text.write(WAIT)
    text.use_module = True
    save("waits")


if __name__ == "__main__":
    make()
