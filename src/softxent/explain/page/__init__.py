"""The interactive page: one HTML file with sliders that needs no network.

build            puts the page together from the files below: begin here
data             the numbers, steps and words that the page is given
template.html, page.css    the frame, and how it looks
arithmetic/      JavaScript: softmax, the formats and exact integers, for logits that the reader has moved
formulas/        JavaScript: formulas as in Python, written as MathML and LaTeX
parts/           JavaScript: the state, each picture of the page, and its controls
"""
