from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("referrals", "0016_possible_duplicates"),
    ]

    operations = [
        migrations.AddField(
            model_name="handoff",
            name="slot_start_at",
            field=models.DateTimeField(null=True),
        ),
    ]
