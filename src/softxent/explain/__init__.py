"""softxent.explain: why the gradient is a − y, derived with your own numbers.

>>> from softxent.explain import explain
>>> explain([4.0, -4.0, 3.0], 2)
<Explanation of 3 classes, 22 steps, loss 1.313506900283053>

Begin with `explanation`. The path of a row through the folder:

problem        checks the row
values         computes its quantities exactly; `exact` has the arithmetic
scene          measures float64's error in each; `algorithms` and `formats` have the arithmetic
derivation/    makes the steps from them
steps          the record of a step; its formulas are data, see `formulas/`
view           the record that renderers read: problem, values, steps, `images`, and the words of a language
languages/     the words
render/        writes a view as text, Markdown, LaTeX, HTML or JSON
page/          writes it as an interactive page

`rows` reads rows from files for the command line.
"""

from softxent.explain.explanation import Explanation, explain
from softxent.explain.steps import Step

__all__ = ["Explanation", "Step", "explain"]
