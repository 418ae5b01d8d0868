"""Coverage-guided fuzzing of the control socket's frames with atheris: `frames.py [libFuzzer options]`; exit code 0: no finding."""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["carillon_rtp"]):
    from carillon_rtp import fuzzing
    from carillon_rtp.protocol import encode

#: Each command by itself, and one after the other in one frame.
COMMANDS = [{"id": 1, "do": name, **fields} for name, fields in fuzzing.ORDERS.items()]
SEEDS = (*COMMANDS, COMMANDS)


def main() -> None:
    with tempfile.TemporaryDirectory() as corpus:
        for number, message in enumerate(SEEDS):
            (Path(corpus) / str(number)).write_bytes(encode(message))
        atheris.Setup([*sys.argv, corpus], fuzzing.frames)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
