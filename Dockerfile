# Three stages: the web pages, the environment, and an image with nothing but them and an ordinary user.
FROM node:24-slim AS web
WORKDIR /build
# The dashboard's queries are typed against it.
COPY schema.graphql .
COPY web web
RUN for page in web/*/; do (cd "$page" && npm ci --no-audit --no-fund && npm run build --if-present) || exit 1; done

FROM python:3.13-slim AS build
WORKDIR /build
RUN python -m venv /opt/kasparro
ENV PATH=/opt/kasparro/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements.lock .
RUN pip install --require-hashes -r requirements.lock
COPY . .
COPY --from=web /build/server/static server/static
RUN pip install --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --create-home --uid 10001 kasparro \
 && install -d -o kasparro -g kasparro /var/lib/kasparro /run/logins/ingestor /run/logins/server
COPY --from=build /opt/kasparro /opt/kasparro
ENV PATH=/opt/kasparro/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    KASPARRO_HOME=/var/lib/kasparro \
    HOST=0.0.0.0 \
    LOG_FORMAT=json
USER kasparro
WORKDIR /home/kasparro
VOLUME /var/lib/kasparro
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["kasparro"]
# Alone, one container is the whole service with its own embedded PostgreSQL; docker-compose.yml runs the parts apart.
CMD ["up"]
