# One image for every service: the argument says which. It holds Node, the libraries that Node needs, our code and its
# production dependencies, and nothing else: no shell, no package manager. The same sources give the same layers.
#
#   ./scripts/image                            builds it with whatever builder this machine has
#   docker run fulmar:0.1.0 broker --help      the arguments are those of the `fulmar` command

# "@sha256:..." of the base, for builds that have to be pinned to the byte.
ARG NODE_DIGEST=

FROM node:24-bookworm-slim${NODE_DIGEST} AS application
WORKDIR /root-of-image/app
COPY package.json package-lock.json .npmrc ./
COPY services/broker/package.json services/broker/
COPY services/cli/package.json services/cli/
COPY services/core/package.json services/core/
COPY services/nameserver/package.json services/nameserver/
COPY services/proxy/package.json services/proxy/
COPY services/runtime/package.json services/runtime/
RUN npm ci --omit=dev --ignore-scripts --no-progress \
  && rm -f node_modules/.package-lock.json \
  && find node_modules -type f \( -name '*.d.ts' -o -name '*.map' -o -name '*.md' \) -delete
COPY LICENSE NOTICE ./
COPY proto proto
COPY services services
RUN find services -name '*.test.ts' -delete \
  && find services -type d -name testing -prune -exec rm -rf {} + \
  && chmod -R u=rwX,go=rX . \
  && find . -depth -exec touch --no-dereference --date=@0 {} +

# Node and what it is linked with, whatever the processor is.
FROM node:24-bookworm-slim${NODE_DIGEST} AS runtime
COPY scripts/image-root /tmp/image-root
RUN sh /tmp/image-root /root-of-image

# Directories are copied with the times that they have; one that the builder would have to make gets the time of now.
FROM scratch
COPY --from=runtime /root-of-image /
COPY --from=application /root-of-image /
# What Node has compiled is kept for the next start in the same place, which then takes half the time. It cannot be put
# into the image, because V8 never makes the same bytes twice.
ENV PATH=/usr/local/bin \
    NODE_ENV=production \
    NODE_COMPILE_CACHE=/tmp/node-compile \
    MALLOC_MMAP_THRESHOLD_=131072
USER 1000:1000
WORKDIR /tmp
EXPOSE 8080 8081 8082 8083 9876 10911 10912
ENTRYPOINT ["fulmar"]
CMD ["--help"]
LABEL org.opencontainers.image.title="Fulmar" \
      org.opencontainers.image.description="A message queue in the shape of Apache RocketMQ 5" \
      org.opencontainers.image.licenses="Apache-2.0"
