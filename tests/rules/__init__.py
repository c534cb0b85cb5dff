"""The book's own rules: each takes a chapter, or a folder, and returns what is wrong with it.

A rule is a function that returns a list of sentences, empty where all is well, so that it can be
tried on a spoilt copy as well as on the book.
"""
