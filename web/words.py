"""Words for what the rows hold as codes. What `referrals.pathways` already labels is taken from there."""

from django.utils.translation import gettext_lazy as _

from referrals.vocabulary import Words

ROLES: dict[str, Words] = {
    "clinician": _("clinician"),
    "coordinator": _("coordinator"),
    "supervisor": _("supervisor"),
    "administrator": _("administrator"),
    "requester": _("referrer"),
    "performer": _("recipient"),
    "patient": _("patient"),
    "partner": _("partner"),
    "system": _("system"),
}
