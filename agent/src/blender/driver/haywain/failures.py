"""Why a command ends without its result: the farm's causes, and which of them an error of Blender's stands for."""

import errno
import re


class Failure(Exception):
    """Why a command ends without its result: one of the farm's causes, and one line for a person."""

    def __init__(self, cause, message):
        super().__init__(message)
        self.cause = cause
        self.message = " ".join(message.split())


# What Blender says, in lower case, and the cause that it stands for; the first match counts.
CAUSES_BY_TEXT = (
    (r"out of (\w+ )?memory|bad_alloc|[mc]alloc returns null", "out_of_memory"),
    (r"no space left|disk full|disk quota", "disk_full"),
    (r"cannot save|could ?n.t write|could not write|for writing|permission denied", "no_output"),
    (r"build without|no compatible gpu|no compute device|not available on this", "device_unavailable"),
    (r"\b(gpu|cuda|optix|hip|oneapi|metal|vulkan|opengl|egl)\b", "device_unavailable"),
    (r"no camera|parse errors in path|engine .*not |layers are disabled|too small", "bad_scene"),
    (r"no such file|does not exist", "missing_file"),
)
# What Blender says too shortly, in lower case, and what a person can do.
ADVICE = (
    ("build without openimagedenois", "this Blender has no denoiser: render with another, or switch denoising off in the scene"),
)
DISK_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def classify(error):
    """The cause that an exception stands for; one that nobody expected is `crashed`."""
    if isinstance(error, MemoryError):
        return "out_of_memory"
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return "disk_full"
    if type(error) is RuntimeError:  # What an operator reports as an error.
        text = str(error).lower()
        return next((cause for pattern, cause in CAUSES_BY_TEXT if re.search(pattern, text)), "crashed")
    return "crashed"


def describe(error):
    """An exception in one line; Blender's own errors in its words alone."""
    if type(error) is RuntimeError:
        text = re.sub(r"(^|\n)Error: ", " ", str(error)).strip()
        return ": ".join([text, *(advice for words, advice in ADVICE if words in text.lower())])
    return f"{type(error).__name__}: {error}"
