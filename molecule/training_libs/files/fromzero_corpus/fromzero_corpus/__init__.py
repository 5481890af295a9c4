"""A project from git, as Lingo is one: it stands on torch and on libraries of a set."""

import jieba

words = jieba.lcut
