FROM python:3.13-slim AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src

COPY requirements/ requirements/
RUN python -m venv /opt/exchange \
    && /opt/exchange/bin/pip install --require-hashes -r requirements/runtime.txt \
    && pip install --require-hashes -r requirements/build.txt

COPY pyproject.toml pyproject.toml
COPY exchange/ exchange/
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/exchange/bin/pip install --no-deps --no-index --find-links /dist intern-exchange


FROM python:3.13-slim

RUN useradd --system --user-group --uid 10001 --no-create-home --shell /usr/sbin/nologin exchange \
    && install --directory --owner exchange --group exchange --mode 0700 /data
COPY --from=build /opt/exchange /opt/exchange

ENV PATH=/opt/exchange/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
# All that is ever written lies here, so that the root file system can be read-only: journal.db, head and admin.key,
# the game itself; projection.db, its SQL tables, unless EXCHANGE_STORAGE__URL names a database.
VOLUME /data
EXPOSE 8000

# A proxy named in the environment must not get between the check and the server.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:8000/health/ready', timeout=2)"]

ENTRYPOINT ["exchange"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000", "--data", "/data"]
