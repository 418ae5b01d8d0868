"""Coverage-guided fuzzing of the control socket's frames with atheris: `frames.py [libFuzzer options]`; exit code 0: no finding."""

import sys
import tempfile
from pathlib import Path

import atheris
import orjson

with atheris.instrument_imports(include=["carillon_rtp"]):
    from carillon_rtp import fuzzing

REMOTE = {"ip": "192.0.2.7", "port": 4000, "codec": "PCMA", "telephone_event": 101, "send": True, "receive": True}
SEEDS = (
    [{"id": 1, "do": "open", "session": "a"}, {"id": 2, "do": "set_remote", "session": "a", "remote": REMOTE}],
    [{"do": "restore", "sessions": ["a"], "wanted": [{"session": "a", "port": 20002, "remote": REMOTE}], "bridges": [["a", "b"]]}],
    [{"do": "open_room", "room": "r", "tell_talkers": True}, {"do": "join", "session": "a", "room": "r", "party": {"says": 1, "hears": 1}}],
    {"do": "send_digits", "session": "a", "digits_id": "d", "digits": "1#", "on_ms": 100, "off_ms": 100, "tones": False},
    {"do": "record", "session": "a", "recording_id": "r", "path": "/x.wav", "max_ms": 1, "silence_ms": 0, "finish_digits": "#"},
    {"do": "list_sessions", "after": "", "limit": 10},
)


def main() -> None:
    with tempfile.TemporaryDirectory() as corpus:
        for number, message in enumerate(SEEDS):
            body = orjson.dumps(message)
            (Path(corpus) / str(number)).write_bytes(len(body).to_bytes(4, "big") + body)
        atheris.Setup([*sys.argv, corpus], fuzzing.frames)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
