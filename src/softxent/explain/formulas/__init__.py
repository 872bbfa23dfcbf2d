"""Formulas: data, and three ways to write them.

formula                formulas as nested tuples, and numbers put into them; begin here
printer                the walk through a formula, which puts brackets where they are needed
text, latex, mathml    printers for terminals, for LaTeX and Markdown, and for browsers
"""
