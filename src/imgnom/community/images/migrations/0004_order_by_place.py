from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('images', '0003_fill_places'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='image',
            index=models.Index(fields=['author', '-position'], name='images_imag_author__ac5406_idx'),
        ),
        migrations.AddIndex(
            model_name='image',
            index=models.Index(fields=['visibility', '-position'], name='images_imag_visibil_9ee72f_idx'),
        ),
        migrations.AddIndex(
            model_name='image',
            index=models.Index(condition=models.Q(('settling__isnull', False)), fields=['settling'], name='images_of_who_left'),
        ),
    ]
