"""Become another program that ends when its parent does.

A script of its own, run with `-I -S` so that it costs a few milliseconds: a child process is told by the kernel of its
parent's end, however that came, so no server or installer is ever left behind without its keeper.

    python launch.py PARENT_PID PROGRAM [ARGUMENT …]
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(parent: int, argv: list[str]) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the parent ended before its child began")
    os.execv(argv[0], argv)  # noqa: S606 - the caller's own program, without a shell


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
