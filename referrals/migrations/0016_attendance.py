from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("referrals", "0015_kept_laws"),
    ]

    operations = [
        migrations.AddField(
            model_name="handoff",
            name="slot_start_at",
            field=models.DateTimeField(null=True),
        ),
    ]
