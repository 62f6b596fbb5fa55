#   docker build -t sallyport:0.1.0 --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" .
#   docker run --read-only --cap-drop ALL -v /path/to/settings:/etc/sallyport:ro sallyport:0.1.0
#
# No secret is built in or passed as a build argument: settings and secrets are mounted, the secrets owned by uid 65532, mode 0400.
# Nothing is written at run time but what the settings name: sockets, and an audit file.
#
# To publish it, with what it is made of and how: `docker buildx build --sbom=true --provenance=mode=max --push ...` attaches
# both as attestations (mode=max tells every build argument: none of these is a secret). --sbom lists the base image by its
# packages, but sees one bundle of ours; what is in that says /app/sbom.cdx.json, CycloneDX, made of the lock by the build
# that made the bundle, and the same for the same source.
#
# The base images float within their major version. Where builds have to be repeatable, name them by digest, which
# `docker buildx imagetools inspect gcr.io/distroless/nodejs26-debian13:nonroot` prints, for all platforms at once:
#
#   docker build --build-arg RUNTIME=gcr.io/distroless/nodejs26-debian13@sha256:... --build-arg BUILDER=node@sha256:... .
#
# Run so far: built, started and stopped by Docker Engine 26.1, Buildah 1.39 and Podman 5.4, on base images made for that from the
# packages that the real ones are made from. Not run: those images themselves, --push with its attestations, other architectures.
#
# There is no HEALTHCHECK. Kubernetes does not read it; settings say whether there is a door to ask and where; and with
# no shell in here, each check starts a second Node (40 MB, 50 ms of a core). Where nothing else asks, and with
# `health: { listen: 127.0.0.1:15091 }`, this command is one, every 30 s: behind HEALTHCHECK CMD in an image FROM this one, for
# Podman's --health-cmd, or behind CMD as `test` in Compose. Docker's --health-cmd needs a shell, and fails here.
#
#   ["/nodejs/bin/node", "-e", "http.get('http://127.0.0.1:15091/readyz', ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]

ARG BUILDER=node:26-trixie-slim
ARG RUNTIME=gcr.io/distroless/nodejs26-debian13:nonroot

FROM ${BUILDER} AS build
WORKDIR /src
COPY package.json package-lock.json ./
# With the optional packages: the binary of esbuild is one of them. Without scripts: none of ours needs any.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY src src
COPY deploy deploy
RUN npm run build && mkdir -p /stage/compile-cache

# The compile cache (60 of 370 ms of CPU less to start, 1 MB more memory) is of use only to the same Node, at the same
# path, with the same flags, under the same uid: its directory is named after version, architecture, V8 flags and uid.
# So the image that will read it makes it, by serving once. Under another uid the start takes those 60 ms, no more.
FROM ${RUNTIME} AS warm
COPY --from=build /src/dist/*.mjs /src/deploy/warm.mjs /app/
COPY --from=build --chown=65532:65532 /stage /app
ENV NODE_COMPILE_CACHE=/app/compile-cache
USER 65532:65532
RUN ["/nodejs/bin/node", "--disable-sigusr1", "--expose-gc", "--disable-warning=ExperimentalWarning", "--disable-warning=DEP0060", "/app/warm.mjs"]
# A cache that was not written would cost nothing but its use, and nobody would notice.
RUN ["/nodejs/bin/node", "-e", "process.exit(fs.readdirSync('/app/compile-cache').length === 0 ? 1 : 0)"]

FROM ${RUNTIME}
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Sallyport" \
      org.opencontainers.image.description="Mints short-lived credentials and injects them into outbound requests, so that apps never hold one" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      sallyport.sbom="/app/sbom.cdx.json"
# The source maps stay behind in the build stage.
COPY --from=build /src/dist/*.mjs /src/dist/licenses.txt /src/dist/sbom.cdx.json /app/
COPY --from=warm --chown=65532:65532 /app/compile-cache /app/compile-cache
# Of the arenas that glibc keeps for each thread, two are enough: 1 MB less. And whoever is in the container by `exec` says
# only what is asked, as in `/nodejs/bin/node /app/sallyport.mjs doctor`, and reads no warning of Node's own.
ENV NODE_COMPILE_CACHE=/app/compile-cache \
    NODE_OPTIONS=--disable-warning=ExperimentalWarning \
    MALLOC_ARENA_MAX=2 \
    SALLYPORT_CONFIG=/etc/sallyport/sallyport.yaml
USER 65532:65532
WORKDIR /
STOPSIGNAL SIGTERM
# The flags are those of the first line of src/cli.ts; a test compares them.
ENTRYPOINT ["/nodejs/bin/node", "--disable-sigusr1", "--expose-gc", "--disable-warning=ExperimentalWarning", "--disable-warning=DEP0060", "/app/sallyport.mjs"]
CMD ["serve", "--config", "/etc/sallyport/sallyport.yaml"]
