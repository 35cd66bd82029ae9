"""Filters of the desk's templates."""

from django import template

from imgnom.procedures.moderation import words

register = template.Library()
for _filter in (words.act_words, words.result_words, words.what_words, words.change_words, words.role_words):
    register.filter(_filter.__name__, _filter)
