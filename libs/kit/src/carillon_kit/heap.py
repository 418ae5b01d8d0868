"""Making something large that stays, without the garbage collector looking at all of it again and again while it grows.

CPython's collector walks everything that was made since, and then all there is, each time that has grown by a quarter: half of the time
that an import of tens of thousands of resources takes. What such work leaves behind is freed by counting references: no circles are in it.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_under_way = 0


@contextmanager
def growing(much: bool = True) -> Iterator[None]:
    """The collector rests inside, and passes over what was made there afterwards; not if it is not `much`.

    Several at once are one: it rests until the last ends.
    """
    global _under_way
    if not much:
        yield
        return
    with _lock:
        _under_way += 1
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            _under_way -= 1
            if not _under_way:
                gc.freeze()
                gc.enable()
