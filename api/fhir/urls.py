"""The whole FHIR interface on one screen."""

from django.urls import re_path

from api.fhir import views
from api.fhir.base import NowhereView

TYPE = r"(?P<type_name>[A-Z][A-Za-z]+)"
ID = r"(?P<resource_id>[A-Za-z0-9\-.]{1,64})"

urlpatterns = [
    re_path(r"^metadata/?\Z", views.MetadataView.as_view()),
    re_path(r"^\Z", views.SystemView.as_view()),
    re_path(rf"^{TYPE}/?\Z", views.TypeView.as_view()),
    re_path(rf"^{TYPE}/_search/?\Z", views.SearchView.as_view()),
    re_path(rf"^{TYPE}/{ID}/?\Z", views.InstanceView.as_view()),
    re_path(rf"^{TYPE}/{ID}/_history/(?P<version>\d{{1,9}})/?\Z", views.VersionView.as_view()),
    re_path(r"", NowhereView.as_view()),
]
