"""Copies what the supervisor writes into the log files to standard output, as JSON lines that name their program.

One writer, so lines never mix. The supervisor never waits for it: a reader of the container's output that blocks holds up this
thread, not a program. When lines are rotated away before they could be copied, the output says so; at full speed a program
fills its four files of 10 MB within a second.
"""
import json
import os
import threading
import time

IDLE_SECONDS = 0.2
CHUNK = 1_048_576
# A line without an end must not fill the memory.
LONGEST = 1_048_576
BACKUPS = 3

_output = threading.Lock()


def write_all(data):
    with _output:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(1, view):]
            except BlockingIOError:
                time.sleep(0.02)
            except OSError:
                return  # nobody reads; the files have it


def mark(program, line):
    """A JSON line gets one more field, any other line becomes the message of one."""
    if line.startswith(b'{"') and line.endswith(b'}'):
        return b'{"program":"%s",%s\n' % (program.encode(), line[1:])
    text = line.decode('utf8', 'replace')
    return json.dumps({'program': program, 'msg': text}, ensure_ascii=False, separators=(',', ':')).encode() + b'\n'


def say(program, text):
    write_all(mark(program, text.encode()))


class Follower:
    """One log file, followed through its rotations: name, then name.1 and so on, newest first."""

    def __init__(self, program, path):
        self.program = program
        self.path = path
        self.file = None
        self.rest = b''
        self.skip_to_end = os.path.exists(path)

    def open(self, path, inode=None):
        try:
            self.file = open(path, 'rb', buffering=0)
            if inode is not None and os.fstat(self.file.fileno()).st_ino != inode:
                # Rotated between the look and this: the wanted one is one name further.
                return self.open_by_inode(inode)
        except OSError:
            return False
        if self.skip_to_end:  # lines of an earlier start
            self.file.seek(0, os.SEEK_END)
        self.skip_to_end = False
        return True

    def open_by_inode(self, inode):
        self.file.close()
        self.file = None
        for name in self.names():
            try:
                found = open(name, 'rb', buffering=0)
            except OSError:
                continue
            if os.fstat(found.fileno()).st_ino == inode:
                self.file = found
                return True
            found.close()
        return False

    def names(self):
        return [self.path, *('%s.%d' % (self.path, n) for n in range(1, BACKUPS + 1))]

    def copy(self):
        """Returns whether there was anything new."""
        if self.file is None and not self.open(self.path):
            return False
        data = self.file.read(CHUNK)
        if data:
            self.take(data)
            return True
        successor = self.successor()
        if successor is None:
            return False
        # Read once more: what was written between the last read and the rotation.
        data = self.file.read(CHUNK)
        if data:
            self.take(data)
            return True
        self.file.close()
        self.file = None
        return self.open(*successor)

    def successor(self):
        """The next newer file when ours was rotated; None while ours is the current one."""
        own = os.fstat(self.file.fileno())
        newer = None
        for name in self.names():
            try:
                found = os.stat(name)
            except OSError:
                continue
            if found.st_ino == own.st_ino and found.st_dev == own.st_dev:
                return newer
            newer = (name, found.st_ino)
        if newer is not None:
            say(self.program, 'lines are missing here: the log files were rotated faster than they could be copied')
        return newer

    def take(self, data):
        lines = (self.rest + data).split(b'\n')
        self.rest = lines.pop()
        if len(self.rest) > LONGEST:
            lines.append(self.rest)
            self.rest = b''
        out = b''.join(mark(self.program, line) for line in lines if line)
        if out:
            write_all(out)

    def finish(self):
        while self.copy():
            pass
        if self.rest:
            write_all(mark(self.program, self.rest))


class LogRelay(threading.Thread):
    def __init__(self, folder, programs):
        super().__init__(daemon=True)
        self.followers = [Follower(program, '%s/%s.log' % (folder, program)) for program in programs]
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            # Each follower one chunk a round, so that a noisy program does not silence the others.
            if not any([follower.copy() for follower in self.followers]):
                self.stopping.wait(IDLE_SECONDS)
        for follower in self.followers:
            follower.finish()

    def stop(self, seconds):
        """What is in the files is copied, unless nobody reads."""
        self.stopping.set()
        self.join(seconds)
