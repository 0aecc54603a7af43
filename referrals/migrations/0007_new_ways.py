"""What offers, authorisations and advice need, and the way from a later request to its loop."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("referrals", "0006_watched_by_kind"),
    ]

    operations = [
        migrations.AddField(
            model_name="handoff",
            name="authorisation",
            field=models.TextField(blank=True, default=""),
        ),
        migrations.AddField(
            model_name="handoff",
            name="authorised_until",
            field=models.DateField(null=True),
        ),
        migrations.AddField(
            model_name="handoff",
            name="is_offer",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="loop",
            name="is_advice",
            field=models.BooleanField(default=False),
        ),
        migrations.AddIndex(
            model_name="handoff",
            index=models.Index(condition=models.Q(("focus", ""), _negated=True), fields=["focus"], name="handoff_by_focus"),
        ),
    ]
