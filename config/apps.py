from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """The assembly: hands to the rooms what they may not import themselves."""

    name = "config"

    def ready(self) -> None:
        """Give the bridge its wake-ups. The wake needs the Celery app, which needs the settings: hence the late import."""
        from config.wake import wake
        from fhir_bridge.pending import wakeups

        wakeups.inject(wake)
