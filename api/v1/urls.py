"""The coordination API, mounted at ``/api/v1/``."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from api.v1 import handoffs, patients, requests, worklist

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("worklist", worklist.Worklist, "worklist")
router.register("referrals", requests.Referrals, "referral")
router.register("follow-ups", requests.FollowUps, "follow-up")
router.register("test-orders", requests.TestOrders, "test-order")
router.register("handoffs", handoffs.Handoffs, "handoff")
router.register("patients", patients.Patients, "patient")

urlpatterns = [path("", include(router.urls))]
