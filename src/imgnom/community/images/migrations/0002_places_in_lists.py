"""Places in lists that are no row numbers; row numbers come at random from now on."""

from django.db import migrations, models

import imgnom.web.row_order


class Migration(migrations.Migration):

    dependencies = [
        ('images', '0001_initial'),
    ]

    operations = [
        migrations.RemoveIndex(model_name='image', name='images_imag_author__c5b10a_idx'),
        migrations.RemoveIndex(model_name='image', name='images_imag_visibil_f3d478_idx'),
        migrations.AddField(
            model_name='image',
            name='position',
            field=models.BigIntegerField(db_index=True, default=0),
            preserve_default=False,
        ),
        migrations.AddField(model_name='image', name='settling', field=models.BigIntegerField(null=True)),
        migrations.AddField(model_name='imagetag', name='place', field=models.SmallIntegerField(default=0)),
        migrations.AlterField(
            model_name='image',
            name='id',
            field=models.BigAutoField(default=imgnom.web.row_order.random_row_id, primary_key=True, serialize=False),
        ),
        migrations.AlterField(
            model_name='imagetag',
            name='id',
            field=models.BigAutoField(default=imgnom.web.row_order.random_row_id, primary_key=True, serialize=False),
        ),
        migrations.AlterField(
            model_name='tag',
            name='id',
            field=models.BigAutoField(default=imgnom.web.row_order.random_row_id, primary_key=True, serialize=False),
        ),
    ]
