"""Formulas: data, and three ways to write them.

formula      formulas as nested tuples, and how numbers are put into them: begin here
printer      the walk that all ways to write a formula share: where brackets are needed
text, latex, mathml    for terminals, for LaTeX and Markdown, for browsers
"""
