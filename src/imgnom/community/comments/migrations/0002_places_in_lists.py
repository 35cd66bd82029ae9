"""Places in lists that are no row numbers; row numbers come at random from now on."""

from django.db import migrations, models

import imgnom.web.row_order


class Migration(migrations.Migration):

    dependencies = [
        ('comments', '0001_initial'),
        ('images', '0004_order_by_place'),
    ]

    operations = [
        migrations.RemoveIndex(model_name='comment', name='comments_co_image_i_00dc96_idx'),
        migrations.AddField(
            model_name='comment',
            name='position',
            field=models.BigIntegerField(db_index=True, default=0),
            preserve_default=False,
        ),
        migrations.AddField(model_name='comment', name='settling', field=models.BigIntegerField(null=True)),
        migrations.AlterField(
            model_name='comment',
            name='id',
            field=models.BigAutoField(default=imgnom.web.row_order.random_row_id, primary_key=True, serialize=False),
        ),
    ]
