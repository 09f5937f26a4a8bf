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
import ctypes, os, resource, socket, subprocess, sys, tempfile
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

def parent(process):
    with open(f"/proc/{process}/stat") as file:
        return int(file.read().rsplit(")", 1)[1].split()[1])

warden = os.getppid()
agent = parent(warden)
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
# What needs no door: the marks of a file that may be read, and what a program of the same user may have.
attempt("mode", lambda: os.chmod(bpy.data.filepath, 0o600))
attempt("owner", lambda: os.chown(bpy.data.filepath, os.getuid(), -1))
attempt("time", lambda: os.utime(bpy.data.filepath))
attempt("open-mode", lambda: os.fchmod(os.open(bpy.data.filepath, os.O_RDONLY), 0o600))
attempt("limit", lambda: resource.prlimit(agent, resource.RLIMIT_CORE, resource.prlimit(agent, resource.RLIMIT_CORE)))
attempt("priority", lambda: os.setpriority(os.PRIO_PROCESS, agent, os.getpriority(os.PRIO_PROCESS, agent)))
attempt("processors", lambda: os.sched_setaffinity(agent, os.sched_getaffinity(agent)))
# Nobody listens there: it is the attempt that is to fail.
attempt("tcp", lambda: socket.socket(socket.AF_INET))
attempt("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9)))
attempt("unix", lambda: socket.socket(socket.AF_UNIX))
attempt("signal", lambda: os.kill(agent, 0))
attempt("mutiny", lambda: os.kill(warden, 0))

# What the kernel keeps for nobody in particular, until the machine is started anew.
libc = ctypes.CDLL(None, use_errno=True)

def leave_memory():
    memory = libc.shmget(0, 4096, 0o1600)
    if memory < 0:
        raise OSError(ctypes.get_errno(), "shmget")
    libc.shmctl(memory, 0, None)

attempt("memory", leave_memory)

def outlive(command, **how):
    subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL, **how)

# By a parent that is gone at once, without an environment, in a session of its own.
attempt("session", lambda: outlive("sleep 1000 &", env={}, start_new_session=True))
attempt("fork", lambda: outlive("sleep 1000; true"))
attempt("bare", lambda: outlive("sleep 1000 &", env={}))
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
