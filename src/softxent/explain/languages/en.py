"""English."""

STEPS = {
    "network": (
        "Softmax regression is a network without a hidden layer",
        "Each of the {classes} outputs has its own row of weights: Wᵢₖ joins output i to input k. "
        "Each logit is one weighted sum of the inputs; softmax makes the logits shares of 1.",
    ),
    "logits": ("Logits", "One number a class, of any size and sign. Only their differences will count."),
    "shift": (
        "Subtract the maximum",
        "The same constant may be taken from all logits: it cancels in the quotient. "
        "With the maximum taken, the largest exponent is 0, and nothing overflows.",
    ),
    "exponentials": ("Exponentials", "e^d is positive whatever d is, and keeps the order. The largest is exactly 1."),
    "sum": ("Sum", "One number that every class shares: through it each logit reaches each probability."),
    "probabilities": (
        "Probabilities",
        "Each exponential's share of the sum. They are positive and sum to 1.",
    ),
    "graph": (
        "Computation graph",
        "Every logit reaches every probability: its own by its exponential, and all of them by the sum. "
        "That is why the derivative has two cases.",
    ),
    "hardmax": (
        "Hard max and soft max",
        "max is one number, the largest; hardmax is 1 where the largest is and 0 elsewhere, and its derivative is 0 or "
        "does not exist. Softmax is its smooth stand-in: as the temperature T goes to 0, softmax becomes hardmax.",
    ),
    "shares": (
        "Why the exponential?",
        "Linear shares need positive logits and change when a constant is added. "
        "Exponential shares exist for all logits, depend on differences alone, and favour the largest.",
    ),
    "labels": ("Target", "What the probabilities should be. The label here is {label}."),
    "loss": (
        "Loss: cross-entropy",
        "The surprise at the true class. With ln a put in, no quotient is formed and no logarithm of a tiny "
        "number taken: both terms are at least 0, and nothing cancels between them.",
    ),
    "divergence": (
        "The same as minimising the K-L divergence",
        "KL(y ‖ a) is the loss less the entropy of y, and that does not depend on the logits: "
        "the gradient is the same. For a one-hot label the entropy is 0, and so are the two.",
    ),
    "loss-by-probability": (
        "Derivative of the loss by the probabilities",
        "Only classes with a target count. The smaller the true class's probability, the steeper the loss.",
    ),
    "quotient": (
        "Derivative of softmax: the quotient rule, in two cases",
        "eᵢ depends on zᵢ alone, S on all logits. For i = j both change; for i ≠ j only the sum does. "
        "The derivative is by the logit z; by e^z it would be aᵢ(1 − aᵢ)/e^zᵢ.",
    ),
    "jacobian": (
        "The Jacobian",
        "Kronecker's δᵢⱼ is 1 where i = j and 0 elsewhere: it joins the two cases. The matrix is symmetric, positive on "
        "its diagonal, negative beside it, and its rows sum to 0, because the probabilities always sum to 1.",
    ),
    "chain": (
        "The chain rule, term by term",
        "Each logit reaches the loss through every probability: one term for each. Shown for the class {label}.",
    ),
    "fold": (
        "The fold: a − y",
        "The aᵢ in the denominator cancels the one in the Jacobian. What is left of all terms is the probability less "
        "the target.",
    ),
    "matrix": (
        "The same as matrices",
        "The Jacobian times the gradient by a. The Jacobian is symmetric, so its transpose is itself.",
    ),
    "push-pull": (
        "Push all, pull one",
        "Against the gradient: every logit is pushed down by its probability, and the true one is pulled up by 1. "
        "The two moves have the same strength, so the logits' sum does not change.",
    ),
    "descent": (
        "One step of gradient descent",
        "Every logit moves against its derivative by η = {η}. The loss goes from {before} to {after}.",
    ),
    "hessian": (
        "The Hessian",
        "The second derivative of the loss is softmax's Jacobian, times the target's sum. It has no negative eigenvalue: "
        "the loss is convex in the logits. Its trace is {trace}.",
    ),
    "sigmoid": (
        "Two classes: the sigmoid",
        "Between {one} and {other} only the difference of their logits counts, and softmax is the sigmoid of it. "
        "One output node z with σ(z) is two output nodes z and 0 with softmax; at z = 0 both have 0.5, the border.",
    ),
    "overflow": (
        "What overflows",
        "e^800 is {power}. float64 holds it no more, float32 stops at e^88.7, float16 at e^11.09: "
        "inf / inf is nan. With the maximum subtracted the same row is harmless.",
    ),
    "cancellation": (
        "What cancels",
        "Subtracting the maximum stops overflow, not cancellation. a − 1 is a difference of near neighbours when the model "
        "is sure; the sum over the other classes is the same number, with all its digits. "
        "So for the loss: log1p adds what ln(1 + …) has already rounded away.",
    ),
    "bits": (
        "Which bits are lost",
        "Logits 16 and 0, the first is the label. float32 keeps 24 bits of a: behind the leading ones hardly any is left "
        "to tell it from 1. 1 − a comes out as {got}; it is {exact}: {ulps} ulps off.",
    ),
    "formats": (
        "Three algorithms in four formats",
        "This row, rounded to each format, and each operation rounded once. naive: the formula as it stands. shifted: the "
        "maximum subtracted. softxent: the rounding errors carried on, log1p, and 1 − a from the other classes. "
        "The gradient is that of {label}; ulps are of the format.",
    ),
    "clipping": (
        "Why logits, and not probabilities, are handed to a loss",
        "A loss that is given probabilities keeps them from 0 by clipping. Logits 0 and 20, the first is the label: "
        "its probability {p} becomes {clipped}, the loss stops growing, and no gradient passes a clipped value.",
    ),
}

NOTES = {
    "impossible": "A logit of -inf is an impossible class: its exponential is 0, and the others are as if it were not there.",
    "from-probs": "Probabilities were given: their logarithms are logits that give them back; any constant may be added.",
    "temperature": "The logits are divided by the temperature T = {T} first: below 1 sharpens, above 1 flattens.",
    "one-class": "With a single class there is nothing to choose: its probability is 1 whatever the logit.",
    "shares-negative": "Here a linear share is negative: it is no probability.",
    "shares-undefined": "Linear shares of this row do not exist: its sum is 0 or infinite.",
    "smoothing": "Label smoothing ε = {ε} takes ε of the label and spreads it evenly over all classes.",
    "weight": "The class weights are {w}; each multiplies its class's target.",
    "soft": "A soft label: every class has its part of the target.",
    "mass": "The target sums to Y = {Y}, not to 1; every formula below has Y in it.",
    "label-impossible": "A class with a target has probability 0: the loss is infinite. Its gradient is finite all the same.",
    "soft-negative": "A target below 0 is no probability; the formulas hold, but the loss may be negative.",
    "limit": "A probability is 0 here: −y/a and a cancel in the product, so the terms are its limits.",
    "fold-mass": "The target sums to Y = {Y}, so the gradient is a·Y − y. Only for Y = 1 is it a − y.",
    "one-class-gradient": "With one class the gradient is exactly 0: a·Y and y are the same number.",
    "pull-many": "The target is not a single 1: every class is pulled up by its own part of it.",
    "jacobian-part": "The first eight columns; the whole matrix is in the JSON output.",
    "descent-up": "The loss went up: the step is too long. Try a smaller --learning-rate.",
    "descent-flat": "The loss does not change: the gradient is 0 here.",
    "sigmoid-two": "There are just two classes here: this is the whole softmax.",
    "sigmoid-many": "The row has more classes; their odds against each other do not depend on the rest.",
    "format-overflow": "A logit does not fit into the smallest format: it is inf as soon as it is stored.",
}

WORDS = {
    "class": "class", "input": "input", "quantity": "quantity", "value": "value", "before": "before", "after": "after",
    "change": "change", "hardmax": "hardmax", "softmax": "softmax", "softmax-at": "softmax, T", "linear": "linear share",
    "format": "format", "algorithm": "algorithm", "loss": "loss", "ulps": "ulps", "label-gradient": "label's gradient",
    "naive": "naive", "shifted": "shifted", "softxent": "softxent", "exact": "exact", "largest": "largest",
    "overflows-above": "e^x = inf above", "vanishes-below": "e^x = 0 below", "limits": "Where the exponential ends",
    "example-hardmax": "Example: 1, 2, 3, 4, 5. max is 5, hardmax is 1 at the 5",
    "example-shares": "Example: 2, 3, 5", "example-overflow": "Example: 123, 456, 789 in float64",
    "example-40": "Example: logits 40 and 0, the first is the label, in float64",
    "example-clip": "Example: logits 0 and 20 in float32, clipped at 1e-7", "own-float32": "This row in float32",
    "p-label": "label's probability", "sigmoid-p": "σ of the difference", "sigmoid-rest": "1 − σ, the other's",
    "sigmoid-loss": "loss between the two", "from-clipped": "from probabilities", "from-logits": "from logits",
    "with-numbers": "with numbers", "why": "why", "error": "float64 computed the textbook way is off by at most {ulps} ulp",
    "step": "Step {n} of {count}", "title": "Why the gradient is a − y",
    "summary": "{classes} classes · label {label} · loss {loss}", "summary-soft": "{classes} classes · soft label · loss {loss}",
    "target-soft": "What the probabilities should be.", "gradient": "gradient",
    "part-forward": "From logits to probabilities", "part-loss": "From probabilities to the loss",
    "part-backward": "Back to the logits", "part-numerics": "In floating point",
    "exactness": "Every number is the exact value, rounded once to the digits shown.",
    "pushes": "◀ push down, its probability", "pulls": "pull up, its target ▶",
    "rows": "row {row} of {count}", "mean": "mean loss of all {count} rows",
    "images-title": "What the network looks at", "weights": "weights", "images-weights": "Above: the weights. Blue speaks for the class, orange against it.",
    "images-change": "Below: what this example changes, −(a − y)·uᵀ: push all, pull one.",
    "images-example": "the example", "language": "English", "colon": ": ",
}  # fmt: skip

PAGE = {
    "title": "Why the gradient is a − y",
    "lead": "Softmax turns logits into probabilities a. Cross-entropy compares them with the target y. Push the loss back through both, and a page of derivatives folds into one difference. Move a slider and watch it happen.",
    "skip": "Skip to the content", "tools": "Tools", "other-language": "简体中文", "theme-auto": "◐ Auto", "theme-light": "○ Light", "theme-dark": "● Dark",
    "link": "Copy link", "python": "Copy Python", "latex": "Copy LaTeX", "print": "Print", "copied": "Copied", "reset": "Reset",
    "play": "Your logits", "class": "class", "share": "probability", "logit": "logit", "target": "target", "hard": "One label", "soft-mode": "Soft label",
    "target-kind": "Kind of target", "normalise": "Make it sum to 1", "add": "+ Add a class", "temperature": "Temperature", "drop": "Remove",
    "picture": "The arrow from a to y", "key-a": "probability a", "key-a-mass": "probability times the target's sum, a·Y", "key-y": "target y", "key-push": "push: gradient above 0", "key-pull": "pull: gradient below 0",
    "lane-probabilities": "probabilities: the arrow is the gradient", "lane-logits": "logits: push all by a, pull by y",
    "loss-is": "Loss L =", "gradient-title": "The gradient, to the last digit",
    "derivation": "The derivation, with your numbers", "back": "Step back", "forth": "Step forward", "choose-step": "Choose a step", "keys": "The arrow keys ← and → turn the pages too.",
    "jacobian-title": "Jacobian: who moves whom", "jacobian-text": "Row: a probability. Column: a logit. Blue grows with it, orange shrinks. Point at a cell, or walk with the arrow keys.",
    "case-same": "The case i = j: {i} by its own logit", "case-other": "The case i ≠ j: {i} by the logit of {j}", "cell-same": "Raising the logit of {i} raises its own share.", "cell-other": "Raising the logit of {j} takes from the share of {i}.",
    "cell-label": "derivative of {i} by the logit of {j}: {value}", "jacobian-label": "Jacobian of softmax",
    "descent-title": "Push all, pull one, again", "descent-text": "Each step moves the logits against the gradient: all are pushed by their probability, the target is pulled.",
    "descend": "One step", "run": "Run", "pause": "Pause", "start-over": "Start over", "rate": "Learning rate", "curve-label": "Loss after {n} steps: {loss}", "steps-done": "{n} steps",
    "descent-line": "The next step with η = {eta} takes the loss from {before} to {after}.",
    "graph-title": "The network as a computation graph", "graph-text": "Every logit reaches every probability: its own by its exponential, all of them by the sum.", "graph-forward": "Values above the edges,", "graph-backward": "∂L/∂ below.",
    "graph-label": "Computation graph from inputs through logits, exponentials, sum and shares to the loss", "graph-inputs": "inputs", "graph-logits": "logits W·u + b", "graph-exp": "exponentials", "graph-sum": "sum", "graph-shares": "probabilities", "graph-loss": "loss",
    "break-title": "Break it", "break-text": "The same row in four formats and three algorithms, every operation rounded once, measured against exact integer arithmetic. Choose a row that overflows, vanishes or cancels, or move the sliders.",
    "race-caption": "Logits {row}; the gradient is that of {label}", "race-key": "✓ at most 1.5 ulp · ≈ at most 64 · ✗ more, or no number. An ulp is the spacing of the format's numbers at the exact value.",
    "about-naive": "the formula as it stands", "about-shifted": "the maximum subtracted", "about-softxent": "what cancels is kept",
    "preset-overflow": "Overflow", "preset-overflow-32": "Overflow in float32", "preset-overflow-16": "Overflow in float16", "preset-underflow": "Underflow", "preset-cancel": "Cancellation", "preset-cancel-32": "Cancel in float32", "preset-equal": "Two giants", "preset-masked": "Masked class", "preset-impossible": "Impossible label", "preset-default": "Back to 4, −4, 3",
    "about-preset-overflow": "e^789 is beyond every format: inf / inf is nan. Shifted, the probabilities live again; the loss, 2.4e-145, only where nothing cancels.",
    "about-preset-overflow-32": "e^88.73 is just too large for float32, and far too large for float16.", "about-preset-overflow-16": "e^11.1 is just too large for float16.",
    "about-preset-underflow": "e^-745.2 is 0 even in float64, so naive takes the logarithm of 0. Shifted, the loss is an ordinary number.",
    "about-preset-cancel": "The model is sure, and right. 1 − a is 4.2e-18: below half an ulp of 1, so ln S and a − 1 are lost even in float64.", "about-preset-cancel-32": "float32 keeps one bit of the gradient here: a − 1 is 6 % wrong.",
    "about-preset-equal": "Adding ln 2 to a hundred million drowns it; taking the maximum off first does not.", "about-preset-masked": "A logit of −∞ is an impossible class. It counts nothing, and nothing is nan.", "about-preset-impossible": "The label is an impossible class: the loss is infinite, the gradient is not.", "about-preset-default": "",
    "slider-label": "Logit of {name}", "number-label": "Logit of {name}, as a number or -inf", "soft-label": "Target of {name}", "pick-label": "{name} is the true class", "name-label": "Name of class {name}", "remove": "Remove {name}",
    "no-number": "Not a number: type one such as -3.5, 1e4 or -inf", "one-finite": "At least one class must be possible", "metric": "{what} = {value}",
    "bars-label-soft": "{n} classes, soft label, loss {loss}: probabilities as bars, targets as dashed boxes, an arrow from each probability to its target",
    "bars-label": "{n} classes, true class {label}, loss {loss}: probabilities as bars, targets as dashed boxes, an arrow from each probability to its target",
    "table-label": "Numbers of this step", "formula-label": "Formulas of this step", "announce": "Loss {loss}, probability of {label} {a}", "announce-loss": "Loss {loss}",
    "footer": "Made by softxent explain. Numbers you have not touched are exact, rounded once; the others are computed here with the same algorithm. This file needs no network.",
}  # fmt: skip
