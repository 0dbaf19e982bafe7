# The image of pairsync: one static binary and nothing else.
#
#   docker build --build-arg VERSION=1.2.3 --build-arg COMMIT="$(git rev-parse HEAD)" -t pairsync .
#
# There is no HEALTHCHECK on purpose: /healthz and /readyz on port 9090 are for the probes of whatever runs it.

FROM golang:1.26 AS build
WORKDIR /src

# Modules first: this layer is rebuilt only when they change.
COPY go.mod go.sum ./
RUN go mod download

COPY . .
ARG VERSION=""
ARG COMMIT=""
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false \
      -ldflags "-s -w -X main.version=${VERSION} -X main.commit=${COMMIT}" \
      -o /out/pairsync ./cmd/pairsync \
 && mkdir -p /out/data /out/tmp && chmod 1777 /out/tmp \
 && cp "$(go env GOROOT)/lib/time/zoneinfo.zip" /out/zoneinfo.zip

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/zoneinfo.zip /zoneinfo.zip
COPY --from=build /out/tmp /tmp
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build /out/pairsync /pairsync
ENV ZONEINFO=/zoneinfo.zip
USER 65532:65532
WORKDIR /data
EXPOSE 8080 8081 9090
ENTRYPOINT ["/pairsync"]
CMD ["serve"]
