"""Makes a scene whose Python does what a stranger's could, and writes down how far it got.

Run: blender --background --factory-startup --python-exit-code 1 --python hostile.py -- FOLDER
"""

import os
import sys

import bpy

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from make import basic_scene, save

# What it got away with comes out as the name of the frame's file.
ATTACK = '''
import os, socket, subprocess, sys, tempfile
import bpy

done = []

def attempt(name, deed):
    try:
        deed()
        done.append(name)
    except Exception as error:
        print("denied:", name, repr(error), file=sys.stderr)

def write(path):
    with open(path, "w") as file:
        file.write("here")

agent = os.getppid()
attempt("passwd", lambda: open("/etc/passwd").read())
attempt("secrets", lambda: open(f"/proc/{agent}/environ").read(1)[0])
attempt("root", lambda: write("/haywain-was-here"))
attempt("shared", lambda: write("/dev/shm/haywain-was-here"))
attempt("scene", lambda: write(os.path.join(os.path.dirname(bpy.data.filepath), "was-here")))
# Where the agent reads frames, no link may be: made there, brought there, or by one folder that takes the place of the other.
workplace = os.path.realpath(os.path.join(tempfile.gettempdir(), "..", ".."))
frames = os.path.join(workplace, "frames")

def bring():
    folder = os.path.join(tempfile.gettempdir(), "folder")
    os.makedirs(folder)
    os.symlink("/etc", os.path.join(folder, "link"))
    os.rename(folder, os.path.join(frames, "folder"))

attempt("frame", lambda: write(os.path.join(frames, "note")))
attempt("link", lambda: os.symlink("/etc", os.path.join(frames, "link")))
attempt("pipe", lambda: os.mkfifo(os.path.join(frames, "pipe")))
attempt("bring", bring)
attempt("swap", lambda: os.rename(frames, os.path.join(workplace, "away")))
attempt("beside", lambda: write(os.path.join(workplace, "beside")))
# Nobody listens there: it is the attempt that is to fail.
attempt("tcp", lambda: socket.socket(socket.AF_INET))
attempt("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9)))
attempt("unix", lambda: socket.socket(socket.AF_UNIX))
attempt("signal", lambda: os.kill(agent, 0))
attempt("session", lambda: os.setsid())

def outlive():
    subprocess.Popen(["/bin/sh", "-c", "sleep 1000; true"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL)

attempt("fork", outlive)
# What is its own it may have.
attempt("home", lambda: write(os.path.join(os.path.expanduser("~"), "notes")))
bpy.context.scene.render.filepath = "//got-" + "-".join(done) + "_"
'''


def make():
    basic_scene()
    text = bpy.data.texts.new("attack.py")
    text.write(ATTACK)
    text.use_module = True
    save("hostile")


if __name__ == "__main__":
    make()
