# Official clients for a pod: Node, Python, Go and Java, with the programs of tests/clients. The context is the project;
# what is copied from .cache/clients has been built by tests/clients/build.
FROM node:24-bookworm-slim
RUN apt-get update -q && apt-get install -qy --no-install-recommends python3-venv \
  # Only its files: what it does to the certificates of the machine needs them to be writable.
  && cd /tmp && apt-get download -q openjdk-17-jre-headless && dpkg-deb -x openjdk-17-*.deb / && rm openjdk-17-*.deb \
  && ln -s /usr/lib/jvm/java-17-openjdk-*/bin/java /usr/bin/java && rm -rf /var/lib/apt/lists/*
COPY tests/clients/python/requirements.txt /clients/python/
RUN python3 -m venv /clients/python && /clients/python/bin/pip install -q --no-deps -r /clients/python/requirements.txt
COPY tests/clients/python/snippet.py /clients/python/
COPY .cache/clients/node /clients/node
COPY .cache/clients/go /clients/go
COPY .cache/clients/java/classes /clients/java/classes
COPY .cache/clients/java/dependency /clients/java/dependency
USER 1000:1000
