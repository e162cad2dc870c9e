# Official clients for a pod: Node, Python and Go, with the programs of tests/clients. The context is the project; what is
# copied from .cache/clients has been built by tests/clients/build.
FROM node:24-bookworm-slim
RUN apt-get update -q && apt-get install -qy --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/*
COPY tests/clients/python/requirements.txt /clients/python/
RUN python3 -m venv /clients/python && /clients/python/bin/pip install -q --no-deps -r /clients/python/requirements.txt
COPY tests/clients/python/snippet.py /clients/python/
COPY .cache/clients/node /clients/node
COPY .cache/clients/go /clients/go
USER 1000:1000
