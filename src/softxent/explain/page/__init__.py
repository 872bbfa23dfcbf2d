"""The interactive page: one HTML file with sliders that needs no network.

build                      makes the page from the files below; begin here
data                       the row's numbers, the steps and the words, for the scripts
template.html, page.css    the page's frame and style
arithmetic/                scripts: softmax, formats and exact integers, for logits that the reader has changed
formulas/                  scripts: formulas as in Python, written as MathML and LaTeX
parts/                     scripts: the page's state, its pictures, its controls
"""
