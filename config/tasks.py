"""The Celery task behind the schedule."""

from celery import shared_task

from config import schedule


@shared_task
def run_scheduled(name: str) -> None:
    """Run one row of the schedule, unless it runs already somewhere."""
    schedule.run(name)
