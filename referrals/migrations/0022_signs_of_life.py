"""A house may have several systems, each with a sign of life of its own; the next answer of each writes it anew."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("referrals", "0021_what_stays")]
    operations = [
        migrations.DeleteModel("SignOfLife"),
        migrations.CreateModel(
            name="SignOfLife",
            fields=[
                ("system", models.TextField(db_collation="C", primary_key=True, serialize=False)),
                ("organization", models.TextField(db_collation="C", db_index=True)),
                ("name", models.TextField()),
                ("heard_at", models.DateTimeField()),
                ("silent_after", models.DurationField()),
                (
                    "pool",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="referrals.owner"
                    ),
                ),
            ],
        ),
    ]
