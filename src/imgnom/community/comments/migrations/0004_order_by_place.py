from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('comments', '0003_fill_places'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='comment',
            index=models.Index(fields=['image', '-position'], name='comments_co_image_i_3b2d23_idx'),
        ),
        migrations.AddIndex(
            model_name='comment',
            index=models.Index(condition=models.Q(('settling__isnull', False)), fields=['settling'], name='comments_of_who_left'),
        ),
    ]
