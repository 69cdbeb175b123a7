# A query node: one static program, nothing else.
#
#   docker build -t splindex .
#   docker run -p 7070:7070 -v /srv/indexes:/indexes:ro splindex serve /indexes/passages.spx --listen 0.0.0.0:7070
#   docker run -p 7070:7070 -v cache:/cache -e AWS_REGION=… splindex \
#       serve s3://bucket/passages --cache /cache --listen 0.0.0.0:7070
#
# scripts/check-image runs these steps without docker. Of features, all but the encoder: query texts
# of BM25 and inference-free models; with FEATURES=cli,serve,publish,encode also of other models.

FROM rust:1.95-bookworm AS build
ARG FEATURES=cli,serve,publish,tokenize
RUN apt-get update && apt-get install --yes --no-install-recommends musl-tools
WORKDIR /src
COPY . .
RUN scripts/build-static /out "$FEATURES"

FROM scratch
COPY --from=build /out/splindex-query /splindex-query
# Object stores are asked over TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# Where releases are kept; a volume of its own outlives the container.
COPY --from=build --chown=65532:65532 /out/cache /cache
USER 65532:65532
EXPOSE 7070
# The kernel's signal to stop is SIGTERM, which drains: give it longer than --drain-time.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/splindex-query"]
CMD ["serve", "--help"]
