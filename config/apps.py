from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """The assembly: hands to the rooms what they may not import themselves."""

    name = "config"
