"""softxent.explain: why the gradient is a − y, derived with your own numbers.

>>> from softxent.explain import explain
>>> explain([4.0, -4.0, 3.0], 2)
<Explanation of 3 classes, 22 steps, loss 1.313506900283053>
"""

from softxent.explain.explanation import Explanation, explain
from softxent.explain.steps import Step

__all__ = ["Explanation", "Step", "explain"]
