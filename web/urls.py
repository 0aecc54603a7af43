"""The addresses of all staff pages. No address holds anything of a patient but an opaque id."""

from django.urls import path

from web.views import account, adoption, composer, duplicates, loop, mending, patient, people, sync, worklist

urlpatterns = [
    path("", worklist.worklist, name="worklist"),
    path("sign-in/", account.SignIn.as_view(), name="sign-in"),
    path("sign-out/", account.SignOut.as_view(), name="sign-out"),
    path("workplace/", account.workplace, name="workplace"),
    path("language/", account.language, name="language"),
    path("mail/", account.mail, name="mail"),
    path("loops/<str:loop_id>/", loop.show, name="loop"),
    path("loops/<str:loop_id>/handoffs/<str:handoff_id>/<slug:action>/", loop.act, name="act"),
    path("loops/<str:loop_id>/evidence/<str:type>/<str:key>/", loop.evidence, name="evidence"),
    path("loops/<str:loop_id>/evidence/<str:type>/<str:key>/<slug:number>/", loop.attachment, name="attachment"),
    path("new/referral/", composer.start, {"kind": "referral"}, name="new-referral"),
    path("new/follow-up/", composer.start, {"kind": "follow-up"}, name="new-follow-up"),
    path("new/test-order/", composer.start, {"kind": "test-order"}, name="new-test-order"),
    path("new/for-patient/", composer.start_for, name="compose-for"),
    path("new/<slug:kind>/discard/", composer.discard, name="compose-discard"),
    path("new/<slug:kind>/<slug:step>/", composer.step, name="compose"),
    path("patients/", patient.search, name="patients"),
    path("patients/<str:patient_id>/", patient.timeline, name="patient"),
    path("patients/<str:patient_id>/died/", patient.died, name="patient-died"),
    path("patients/<str:patient_id>/lives/", patient.lives, name="patient-lives"),
    path("duplicates/", duplicates.overview, name="duplicates"),
    path("duplicates/undo/", duplicates.undo, name="duplicate-undo"),
    path("duplicates/<str:pair>/", duplicates.answer, name="duplicate"),
    path("adopt/", adoption.overview, name="adopt"),
    path("adopt/decide/", adoption.decide, name="adopt-decide"),
    path("reassign/", worklist.reassign, name="reassign"),
    path("people/", people.overview, name="people"),
    path("people/surrogate/", people.surrogate, name="surrogate"),
    path("people/absences/<str:key>/end/", people.end, name="absence-end"),
    path("people/<str:practitioner>/leave/", people.leave, name="leave"),
    path("people/<str:practitioner>/hand-over/", people.hand_over, name="hand-over"),
    path("sync/", sync.overview, name="sync"),
    path("sync/retry/", sync.retry, name="sync-retry"),
    path("sync/partner/<slug:partner>/<slug:action>/", sync.steer, name="sync-steer"),
    path("sync/<slug:kind>/<slug:number>/", mending.item, name="sync-item"),
    path("sync/<slug:kind>/<slug:number>/<slug:action>/", mending.mend, name="sync-mend"),
]
