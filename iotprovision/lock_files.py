"""Lock files as ``filelock.FileLock`` makes them: whether one is held, asked without keeping anybody out."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import time

    import filelock

    # Windows has no shared locks of this kind, so that somebody else who is only looking is in the way for a moment.
    LOOKS, BETWEEN_LOOKS = 3, 0.01

    def is_held(lock_file: Path) -> bool:
        """Whether a process holds the lock of a file, this process too. Nothing is made or written.

        The file alone says nothing: it can stay behind when its holder ends.
        """
        try:
            handle = os.open(lock_file, os.O_RDWR)
        except OSError:
            return False
        try:
            for _ in range(LOOKS):
                if filelock.lock_descriptor(handle, blocking=False):
                    filelock.unlock_descriptor(handle)
                    return False
                time.sleep(BETWEEN_LOOKS)
            return True
        except OSError:
            return False
        finally:
            os.close(handle)

else:
    import fcntl

    def is_held(lock_file: Path) -> bool:
        """Whether a process holds the lock of a file, this process too. Nothing is made or written.

        The file alone says nothing: it stays behind when its holder ends.
        """
        try:
            handle = os.open(lock_file, os.O_RDONLY)
        except OSError:
            return False
        try:
            # Shared, so that several who look do not take each other for a holder.
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return True
        except OSError:  # a file system without locks, where no run can hold one
            return False
        finally:
            os.close(handle)
        return False
