#!/usr/bin/env python3
"""Runs a command with a terminal of 120 columns for its input, output and errors, and prints what it printed there."""

import fcntl
import os
import pty
import struct
import sys
import termios


def main() -> int:
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        os.execv(sys.argv[1], sys.argv[1:])
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # On Linux, the other side is closed.
            break
        if not data:
            break
        os.write(1, data)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
