"""The private line to the agent."""

import json
import os
import queue
import threading


class Channel:
    """The private line to the agent. Without the agent there is nothing to live for: its end is ours."""

    def __init__(self, commands_fd, answers_fd):
        self._commands = open(commands_fd, "rb")
        self._answers = open(answers_fd, "wb", buffering=0)
        self._lock = threading.Lock()
        self.received = queue.Queue()
        threading.Thread(target=self._receive, name="commands", daemon=True).start()

    def _receive(self):
        for line in self._commands:
            try:
                self.received.put(json.loads(line.decode("utf-8")))
            except ValueError as error:
                self.send("error", message=f"not a line of JSON: {error}")
        os._exit(0)

    def send(self, event, **fields):
        line = json.dumps({"event": event, **fields}, ensure_ascii=False) + "\n"
        rest = line.encode("utf-8", "replace")  # A file's name may be no UTF-8: the line must be.
        with self._lock:
            try:
                while rest:
                    rest = rest[self._answers.write(rest):]
            except OSError:
                os._exit(0)
