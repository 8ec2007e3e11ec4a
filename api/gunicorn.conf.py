"""gunicorn for the churn API: `gunicorn --config api/gunicorn.conf.py`.

CHURN_API_BIND          host:port to listen on (127.0.0.1:8000)
CHURN_API_WORKERS       processes, each with a model of its own (2)
CHURN_API_THREADS       threads a process (8)
CHURN_API_READ_SECONDS  time that a caller has to send a whole request (10)
CHURN_API_ALLOW_REMOTE  1 to listen beyond this machine, behind a proxy that authenticates
"""

import gc
import os
import shutil
import sys
import tempfile

# Before any library that brings OpenMP is imported: one row is scored fastest by one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from churn.errors import ChurnError
from churn.settings import Settings
from churn_api.held import FOLDER
from churn_api.journal import close
from churn_api.request_log import log_to_stderr
from churn_api.start import check_before_listening

wsgi_app = "churn_api.app:create_app(check_schema=False)"  # the master has checked: on_starting
bind = os.environ.get("CHURN_API_BIND") or "127.0.0.1:8000"
workers = int(os.environ.get("CHURN_API_WORKERS") or 2)
threads = int(os.environ.get("CHURN_API_THREADS") or 8)
worker_class = "churn_api.worker.BoundedWorker"  # gthread with bounds, and without a thread for what is short
sendfile = False  # an answer leaves in one piece (churn_api.whole_answer); there is no file to send
preload_app = False  # a model loaded before the fork hangs in the child, and a thread does not survive it
timeout = 60
graceful_timeout = 10  # seconds; an idle kept-alive connection holds a worker this long, a request takes milliseconds
keepalive = 5
backlog = 1024
limit_request_line = 2048
limit_request_fields = 50
limit_request_field_size = 8190
control_socket_disable = True
accesslog = None  # the API logs its requests itself, without customer data
errorlog = "-"
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108, PTH112  # nosec B108 - gunicorn makes it


def on_starting(server):
    """Refuse to start, with one line and the next step, where something that must hold does not."""
    log_to_stderr()
    # Where the workers put their numbers for /metrics together: named before any of them imports prometheus_client.
    server.own_metrics = tempfile.mkdtemp(prefix="churn-api-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = server.own_metrics
    allow_remote = os.environ.get("CHURN_API_ALLOW_REMOTE") == "1"
    try:
        check_before_listening(Settings(), server.cfg.address, allow_remote)
    except ChurnError as error:
        sys.stderr.write(f"The churn API does not start. {error}\n")
        sys.exit(1)
    server.held_rows = tempfile.mkdtemp(prefix="churn-api-held-")
    os.environ[FOLDER] = server.held_rows


def post_worker_init(worker):
    """What matters for a request's time, once everything is imported and the model is loaded."""
    # A request's thread gives up the interpreter with each system call; a thread that writes the log or loads a model
    # keeps it for that long each time. Python's own is 5 ms: several of them would be a request's whole time.
    sys.setswitchinterval(0.0005)
    gc.collect()
    gc.freeze()  # a million objects that live as long as the worker: no later collection looks at them


def child_exit(server, worker):
    """Forget the model version of a worker that has ended."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)


def on_exit(server):
    """Leave no numbers behind: the next start counts from zero."""
    shutil.rmtree(server.own_metrics, ignore_errors=True)
    shutil.rmtree(server.held_rows, ignore_errors=True)


def worker_exit(server, worker):
    """Write what a worker that ends still holds for the request log."""
    app = getattr(worker, "wsgi", None)  # none where it never came up
    if app is not None:
        close(app)
