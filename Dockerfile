# One recipe for every service: docker build --build-arg SERVICE=routing -t carillon/routing .
# SERVICE is directory, routing, media, voicemail, cdr, or rtp for the media plane.
# BASE may be any Debian 12 image that has Python 3.11.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev libopus-dev libspandsp-dev libssl-dev python3-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements.lock ./
RUN python3 -m venv /opt/carillon \
    && /opt/carillon/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY libs libs
COPY services services
RUN for member in libs/* services/*; do /opt/carillon/bin/pip install --no-cache-dir --no-deps "./$member" || exit 1; done

FROM ${BASE}
ARG SERVICE
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends espeak-ng libopus0 libspandsp2 libssl3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home carillon \
    && install -d -o carillon /var/lib/carillon /run/plane
COPY --from=build /opt/carillon /opt/carillon
ENV CARILLON_SERVICE=${SERVICE} PYTHONUNBUFFERED=1
USER 10001
WORKDIR /var/lib/carillon
ENTRYPOINT ["/bin/sh", "-c", "exec /opt/carillon/bin/python -m \"carillon_$CARILLON_SERVICE\" \"$@\"", "--"]
