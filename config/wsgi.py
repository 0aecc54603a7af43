"""The web process's entry point."""

import os
from collections.abc import Mapping
from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("DATABASE_POOL", "true")  # only here: workers and commands hold plain connections


class Request(WSGIRequest):
    """Django's request, but read as UTF-8 whatever charset the body claims.

    Django decodes the address by the body's charset, and does so while it builds the request, where nothing catches
    what goes wrong: ``charset=bz2``, or any charset and too many parameters, would be a 500 of the server itself.
    """

    def _set_content_type_params(self, meta: Mapping[str, Any]) -> None:
        self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))


class Handler(WSGIHandler):
    """Django's handler around our request."""

    request_class = Request


django.setup(set_prefix=False)
application = Handler()
