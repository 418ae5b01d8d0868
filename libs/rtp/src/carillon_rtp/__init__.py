"""The media plane: RTP relay, prompts, digits and recording in C, in a process of its own, behind a typed Python API.

`carillon_rtp.client` is what signalling uses; `python -m carillon_rtp` is the plane; `carillon_rtp.wav` reads and mends its files.
"""
