"""Renderers: each writes a View in one format.

blocks         the walk through the steps, which all but json share; begin here
terminal, markdown, latex, html, json      the formats
prose          a step's sentences in the View's language
pictures       the images of an example, as HTML and as text
"""
