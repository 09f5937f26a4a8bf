"""The driver: keeps one Blender warm and renders single frames of a scene on command.

It owns the conversation between the agent and Blender: commands come in as JSON lines on standard
input, answers go out as JSON lines on what was standard output, and everything that Blender itself
prints goes to standard error, the log. It runs in `blender --background --python` and under the `bpy`
module alike.

Invariants: a warm frame equals a cold one (`blender -b scene.blend -f N`), so whatever is changed for
a frame is put back; no exception ends the loop; the end of standard input ends the process at once,
also in mid-render, so that no Blender outlives its agent.
"""

import os


def claim_standard_streams():
    """Takes both ends of the conversation, before Blender can print into it or read from it.

    On Windows too these end up in binary mode: Python sets that when it opens a descriptor.
    """
    commands = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    answers = os.dup(1)
    os.dup2(2, 1)
    return commands, answers


COMMANDS_FD, ANSWERS_FD = claim_standard_streams()

# Only now: the bpy module prints as soon as it is imported.
import sys
import traceback

import bpy

# Blender does not look for modules beside the script that it runs.
sys.path.append(os.path.dirname(os.path.abspath(__file__)))

from haywain.blendfile import OWN_VERSION
from haywain.channel import Channel
from haywain.failures import Failure, classify, describe
from haywain.opening import open_scene
from haywain.rendering import peak_memory_bytes, render_frame

PROTOCOL = 1
# For what Blender itself puts aside.
WORK_FOLDER = os.path.dirname(os.path.abspath(__file__))


class Session:
    """Which command may run when, and how the scene comes to a frame."""

    def __init__(self, channel):
        self._channel = channel
        self._opened = None
        self._is_fresh = False

    def _open(self, command):
        self._opened = None
        self._opened, self._is_fresh = open_scene(self._channel, command, WORK_FOLDER), True

    def _render(self, command):
        opened = self._opened
        if not opened:
            raise Failure("bad_scene", "no scene is open: the last one was refused, or none was opened yet")
        # What a simulation has played before, or a circle of drivers has left, must not show in the frame.
        has_past = not self._is_fresh and opened.keeps_history
        if has_past and not (opened.player and opened.player.can_reach(command["frame"])):
            opened.reload()
        self._is_fresh = False
        if opened.player:
            opened.player.play_to(command["frame"])
        render_frame(self._channel, command, opened)

    def run(self, command):
        action = command.get("do") if isinstance(command, dict) else None
        if action == "open":
            self._open(command)
        elif action == "render":
            self._render(command)
        elif action == "quit":
            os._exit(0)
        else:
            self._channel.send("error", message=f"unknown command {command!r}")

    def answer(self, command):
        """Runs a command; whatever goes wrong in it becomes its answer."""
        about = {"peakMemoryBytes": peak_memory_bytes()}
        if isinstance(command, dict) and "frame" in command:
            about["frame"] = command["frame"]
        try:
            self.run(command)
        except Failure as failure:
            self._channel.send("failed", cause=failure.cause, message=failure.message, **about)
        except BaseException as error:  # SystemExit too: a scene's script must not end the session.
            traceback.print_exc()
            self._channel.send("failed", cause=classify(error), message=" ".join(describe(error).split()), **about)


def main():
    channel = Channel(COMMANDS_FD, ANSWERS_FD)
    session = Session(channel)
    channel.send("ready", protocol=PROTOCOL, blender=OWN_VERSION, module=not bpy.app.binary_path, pid=os.getpid())
    while True:
        session.answer(channel.received.get())


if __name__ == "__main__":
    main()
