"""Builds `carillon_rtp._core`, the C core, as a cffi extension; run by the package's own build."""

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent
SOURCES = sorted(str(path.relative_to(HERE)) for path in (HERE / "csrc").glob("*.c"))

ffibuilder = FFI()
ffibuilder.cdef((HERE / "csrc" / "plane_api.h").read_text())
ffibuilder.set_source(
    "carillon_rtp._core",
    '#include "core.h"',
    sources=SOURCES,
    include_dirs=["csrc"],
    depends=["csrc/core.h", "csrc/plane_api.h"],
    define_macros=[("_GNU_SOURCE", None)],
    extra_compile_args=["-std=gnu11", "-O3", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-unused-parameter", "-pthread"],
    libraries=["crypto", "opus", "spandsp", "m"],
    extra_link_args=["-pthread"],
)
