"""The coordination API, mounted at ``/api/v1/``."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from api.v1 import adoption, handoffs, metrics, patients, pools, requests, settings, staff, worklist

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("worklist", worklist.Worklist, "worklist")
router.register("referrals", requests.Referrals, "referral")
router.register("follow-ups", requests.FollowUps, "follow-up")
router.register("test-orders", requests.TestOrders, "test-order")
router.register("handoffs", handoffs.Handoffs, "handoff")
router.register("patients", patients.Patients, "patient")
router.register("adoption", adoption.Adoption, "adoption")
router.register("metrics", metrics.Metrics, "metrics")
router.register("pools", pools.Pools, "pool")
router.register("people", staff.Staff, "person")
router.register("absences", staff.Absences, "absence")
router.register("policies", settings.Policies, "policy")

urlpatterns = [
    path("", include(router.urls)),
    path("calendar", settings.Calendar.as_view({"get": "retrieve", "put": "update"}), name="calendar"),
]
