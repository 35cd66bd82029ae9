from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='HandlerRecord',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('account', models.CharField(max_length=32)),
                ('role', models.CharField(max_length=16)),
                ('at', models.DateTimeField()),
                ('place', models.CharField(max_length=64)),
                ('act', models.CharField(max_length=40)),
                ('what', models.CharField(max_length=64)),
                ('whose', models.CharField(default='', max_length=32)),
                ('reason', models.CharField(default='', max_length=500)),
                ('result', models.CharField(max_length=16)),
                ('ends_at', models.DateTimeField(db_index=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='RightGrant',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('account', models.CharField(max_length=32)),
                ('role', models.CharField(max_length=16)),
                ('change', models.CharField(max_length=8)),
                ('by', models.CharField(max_length=32)),
                ('at', models.DateTimeField()),
                ('ends_at', models.DateTimeField(db_index=True, null=True)),
            ],
        ),
    ]
