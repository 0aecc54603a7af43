"""Celery: a worker and a clock, woken through the broker. What is to be done stands in PostgreSQL, never in a message.

A message is a wake-up that carries a name and at most an id; it may come twice, late or never, and the clock's rounds
find what a lost one was for. So there are no results and no retries here, and publishing gives up at once.
"""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings

from config import schedule

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("baton")
app.conf.update(
    broker_url=settings.REDIS_URL,
    broker_connection_retry=True,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_connection_timeout=1,
    broker_transport_options={
        "socket_connect_timeout": 1,
        "socket_timeout": 5,
        "socket_keepalive": True,
        "visibility_timeout": 600,
    },
    result_backend=None,
    task_ignore_result=True,
    task_publish_retry=False,
    task_default_queue="baton",
    task_acks_late=True,  # with reject_on_worker_lost: a killed worker's wake-up comes again, which does no harm
    task_reject_on_worker_lost=True,
    task_time_limit=300,
    task_soft_time_limit=270,
    task_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    timezone="UTC",
    imports=["config.tasks"],
    beat_schedule={
        job.name: {
            "task": "config.tasks.run_scheduled",
            "schedule": job.every,
            "args": [job.name],
            "options": {"expires": job.every.total_seconds()},  # rounds missed while nobody worked are not made up for
        }
        for job in schedule.SCHEDULE
    },
)
app.autodiscover_tasks(["fhir_bridge"])


@setup_logging.connect
def _keep_logging(**_kwargs: Any) -> None:
    """Django's LOGGING stands: JSON, and no patient's data."""
