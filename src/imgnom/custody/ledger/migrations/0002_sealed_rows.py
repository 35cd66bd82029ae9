"""Every row that no Merkle proof covers gets a seal; those that are here already are sealed as they are found.

Once, with the keyring at hand: whatever lacks a seal afterwards was put there by somebody else.
"""

from django.db import migrations, models

SEALED = ("checkpoint", "certificate", "intent", "receipt")
COUNTED = ("checkpoint", "receipt")


def seal_rows(apps, schema_editor):
    from imgnom.custody.ledger.sealed_rows import seal_of

    if schema_editor.connection.alias != "ledger":
        return
    for name in SEALED:
        model = apps.get_model("ledger", name)
        for row in model.objects.using("ledger").filter(seal="").iterator(chunk_size=500):
            row.seal = seal_of(row)
            row.save(using="ledger", update_fields=["seal"])
    tally = apps.get_model("ledger", "tally")
    for name in COUNTED:
        model = apps.get_model("ledger", name)
        count = model.objects.using("ledger").count()
        if count and not tally.objects.using("ledger").filter(table=model._meta.db_table).exists():
            row = tally(table=model._meta.db_table, rows=count)
            row.seal = seal_of(row)
            row.save(using="ledger")


def _seal(model):
    return migrations.AddField(model, "seal", models.CharField(default="", max_length=64), preserve_default=False)


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Tally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("table", models.CharField(max_length=64, unique=True)),
                ("rows", models.BigIntegerField()),
                ("seal", models.CharField(max_length=64)),
            ],
        ),
        migrations.AddField("certificate", "final_leaf_id", models.CharField(default="", max_length=32)),
        *(_seal(name) for name in SEALED),
        migrations.RunPython(seal_rows, migrations.RunPython.noop),
    ]
