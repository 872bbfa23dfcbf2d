"""Known defects of libraries: the call, the right result, the issue. Each is run if its library is installed.

`softxent check --compare` shows those that still exist. A call is a Python expression, so the text that is shown is the
code that was run. f64, f32, f16, i8, u8 make an array of the library's own; grad(f, z) is f's gradient by the library's
autograd. If mathematics leaves a value open, `policy` says which value counts as right, and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log

__all__ = ["DEFECTS", "PEERS", "Defect"]

Right = tuple[float, ...]


@dataclass(frozen=True)
class Defect:
    """One defect: `call` should give `right` (flattened), or raise if `right` is None.

    known: the issue that reports it; empty if none was found. needs: an expression that must succeed before it can be
    run. raises: the defect is an exception. If another call raises, it counts as not run.
    """

    peer: str
    kind: str
    call: str
    right: Right | None
    known: str
    policy: str = ""
    needs: str = ""
    raises: bool = False


# For each target, the libraries whose defects are shown: Keras comes with TensorFlow, Optax has JAX's losses.
PEERS = {
    "scipy": ("scipy",),
    "torch": ("torch",),
    "torch-compile": ("torch",),
    "jax": ("jax", "optax"),
    "optax": ("optax",),
    "tensorflow": ("tensorflow", "keras"),
    "keras": ("keras",),
    "sklearn": ("sklearn",),
}

W = "[37.42994775023705, 0]"
TAIL_32 = (-4.385466485115685e-08, -16.942384763703298)
TAIL_64 = (-4.248354255291589e-18, -40.0)
LOSS_40 = (4.248354255291589e-18,)
VJP = (5.551115123125776e-17, -5.551115123125776e-17)
BYTES = (1.798486220279463e-111, 1.0)
BYTES_LOG = (-255.0, -1.798486220279463e-111)
WIDE = (1 / 70000,)
WIDE_LSE = (log(70000),)
SHARE = (0.0, 0.0, 1.0)
AT_INF = "softmax's limit at a single +inf"
NO_MASS = "no class has mass: the value is −inf, a gradient of 0 keeps a masked row out"
XLOGY = "0 · log 0 = 0, xlogy's convention"
SMOOTH = "the smoothing's uniform part is not weighted: (1 − ε) w_y ℓ_y + ε/C Σ ℓ_c; documented"
SOFT = "soft labels' mean divided by the labels' weight, as that of hard labels; documented"

DEFECTS = (
    # Digits of the largest probability: log p = −log1p(Σ e^(z_j − m)) keeps them, x − lse loses them.
    Defect("scipy", "log_softmax", "special.log_softmax(f64([40, 0]))", TAIL_64, "scipy#19521"),
    Defect("scipy", "log_softmax", "special.log_softmax(f32([16.942384719848633, 0]))", TAIL_32, "scipy#19521"),
    Defect("torch", "log_softmax", "torch.log_softmax(f64([40, 0]), -1)", TAIL_64, "pytorch#195531"),
    Defect("torch", "log_softmax", "torch.log_softmax(f32([16.942384719848633, 0]), -1)", TAIL_32, "pytorch#113708"),
    Defect("torch", "cross_entropy", "F.cross_entropy(f64([[40, 0]]), i64([0]))", LOSS_40, "pytorch#195531"),
    Defect("torch", "log_softmax", f"grad(lambda z: torch.log_softmax(z, -1)[0], f64({W}))", VJP, "pytorch#195680"),
    Defect("torch", "softmax", f"grad(lambda z: torch.softmax(z, -1)[0], f64({W}))", VJP, "pytorch#195684"),
    Defect(
        "torch",
        "cross_entropy_grad",
        f"grad(lambda z: F.cross_entropy(z, i64(0)), f64({W}))",
        (-VJP[0], VJP[0]),
        "pytorch#195680",
    ),
    Defect("jax", "log_softmax", "jax.nn.log_softmax(f64([40, 0]))", TAIL_64, "jax#40344"),
    Defect("jax", "log_softmax", "jax.nn.log_softmax(f32([16.942384719848633, 0]))", TAIL_32, "jax#40344"),
    Defect("jax", "log_softmax", f"grad(lambda z: jax.nn.log_softmax(z)[0], f64({W}))", VJP, "jax#40384"),
    Defect("jax", "softmax", f"grad(lambda z: jax.nn.softmax(z)[0], f64({W}))", VJP, "jax#40386"),
    Defect("jax", "logsumexp", "jax.nn.logsumexp(f64([0, -40]))", LOSS_40, "jax#40344"),
    Defect("tensorflow", "log_softmax", "tf.nn.log_softmax(f64([40, 0]))", TAIL_64, "tensorflow#126525"),
    Defect(
        "tensorflow", "log_softmax", "tf.nn.log_softmax(f32([16.942384719848633, 0]))", TAIL_32, "tensorflow#126525"
    ),
    Defect("tensorflow", "cross_entropy", "sparse(labels=[0], logits=f64([[40, 0]]))", LOSS_40, "tensorflow#126525"),
    Defect("tensorflow", "log_softmax", f"grad(lambda z: tf.nn.log_softmax(z)[0], f64({W}))", VJP, "tensorflow#126630"),
    Defect("tensorflow", "softmax", f"grad(lambda z: tf.nn.softmax(z)[0], f64({W}))", VJP, "tensorflow#126633"),
    Defect(
        "tensorflow",
        "cross_entropy_grad",
        f"grad(lambda z: sparse(labels=0, logits=z), f64({W}))",
        (-VJP[0], VJP[0]),
        "tensorflow#126630",
    ),
    Defect("tensorflow", "logsumexp", "tf.reduce_logsumexp(f64([0, -40]))", LOSS_40, "tensorflow#126525"),
    Defect("optax", "cross_entropy", "integer_labels(f64([40, 0]), jnp.array(0))", LOSS_40, "jax#40344"),
    Defect(
        "optax",
        "cross_entropy_grad",
        f"grad(lambda z: integer_labels(z, jnp.array(0)), f64({W}))",
        (-VJP[0], VJP[0]),
        "jax#40384",
    ),
    Defect(
        "torch",
        "log_softmax",
        "(lambda z: z - torch.logsumexp(z, -1))(f32([800, 800, 400]))",
        (-0.6931471805599453, -0.6931471805599453, -400.69314718055995),
        "pytorch#56340",
    ),
    Defect(
        "torch", "cross_entropy", "F.cross_entropy(f32([[1e8, 1e8]]), i64([1]))", (0.6931471805599453,), "pytorch#11752"
    ),
    # Infinities.
    Defect("scipy", "softmax", "special.softmax(f64([1, 1, inf]))", SHARE, "scipy#23225", AT_INF),
    Defect("torch", "softmax", "torch.softmax(f64([1, 1, inf]), -1)", SHARE, "", AT_INF),
    Defect("jax", "softmax", "jax.nn.softmax(f64([1, 1, inf]))", SHARE, "", AT_INF),
    Defect("tensorflow", "softmax", "tf.nn.softmax(f64([1, 1, inf]))", SHARE, "", AT_INF),
    Defect(
        "torch",
        "logsumexp",
        "grad(lambda z: torch.logsumexp(z, -1), f64([-inf, -inf]))",
        (0.0, 0.0),
        "pytorch#31829",
        NO_MASS,
    ),
    Defect("jax", "logsumexp", "grad(jax.nn.logsumexp, f64([-inf, -inf]))", (0.0, 0.0), "jax#6811", NO_MASS),
    Defect("tensorflow", "logsumexp", "grad(tf.reduce_logsumexp, f64([-inf, -inf]))", (0.0, 0.0), "", NO_MASS),
    Defect(
        "torch",
        "cross_entropy_grad",
        "grad(lambda z: F.cross_entropy(z, i64([-100, 0])), f64([[-inf, -inf], [0, 0]]))",
        (0.0, 0.0, -0.5, 0.5),
        "pytorch#11551",
    ),
    Defect(
        "torch", "cross_entropy", "F.cross_entropy(f64([[-inf, 0]]), f64([[0, 1]]))", (0.0,), "pytorch/xla#2553", XLOGY
    ),
    Defect(
        "tensorflow", "cross_entropy", "soft(labels=f64([0, 1]), logits=f64([-inf, 0]))", (0.0,), "optax#896", XLOGY
    ),
    Defect(
        "optax", "cross_entropy", "optax.softmax_cross_entropy(f64([-inf, 0]), f64([0, 1]))", (0.0,), "optax#896", XLOGY
    ),
    Defect(
        "optax",
        "cross_entropy",
        "jax.jvp(lambda z: optax.safe_softmax_cross_entropy(z, f64([0, 1])), (f64([-inf, 0]),), (f64([0, 1]),))[1]",
        (0.0,),
        "optax#1762",
    ),
    # where=
    Defect(
        "jax",
        "softmax",
        "grad(lambda z: jax.nn.softmax(z, where=jnp.array([True, True, False]))[0], f64([1, 1, 1000]))",
        (0.25, -0.25, 0.0),
        "jax#17117",
    ),
    Defect(
        "jax",
        "logsumexp",
        "grad(lambda z: jax.nn.logsumexp(z, where=jnp.array([True, True, False])), f64([1, 1, 1000]))",
        (0.5, 0.5, 0.0),
        "jax#19490",
    ),
    Defect(
        "jax",
        "log_softmax",
        "jax.nn.log_softmax(f64([1, 1, 100]), where=jnp.array([True, True, False]))",
        (-0.6931471805599453, -0.6931471805599453, -inf),
        "jax#16208",
    ),
    # No classes.
    Defect("scipy", "softmax", "special.softmax(f64([]))", (), "scipy#20399", raises=True),
    Defect("scipy", "log_softmax", "special.log_softmax(f64([]))", (), "scipy#20399", raises=True),
    # Dtypes: x − max wraps in eight bits; a sum, or 1/S, overflows half precision.
    *(
        Defect(peer, kind, f"{f}({z})", right, "")
        for peer, space in (("scipy", "special"), ("jax", "jax.nn"))
        for kind, right in (("softmax", BYTES), ("log_softmax", BYTES_LOG))
        for f, z in ((f"{space}.{kind}", "i8([-128, 127])"), (f"{space}.{kind}", "u8([0, 255])"))
    ),
    *(
        Defect(peer, "softmax", call, WIDE, "")
        for peer, call in (
            ("scipy", "special.softmax(zeros16(70000))[0]"),
            ("torch", "torch.softmax(zeros16(70000), -1)[0]"),
            ("jax", "jax.nn.softmax(zeros16(70000))[0]"),
            ("tensorflow", "tf.nn.softmax(zeros16(70000))[0]"),
        )
    ),
    *(
        Defect(peer, "logsumexp", call, WIDE_LSE, "")
        for peer, call in (
            ("scipy", "special.logsumexp(zeros16(70000))"),
            ("torch", "torch.logsumexp(zeros16(70000), -1)"),
            ("jax", "jax.nn.logsumexp(zeros16(70000))"),
            ("tensorflow", "tf.reduce_logsumexp(zeros16(70000))"),
        )
    ),
    Defect(
        "optax",
        "cross_entropy",
        "integer_labels(jnp.array([32, 35, 36], jnp.bfloat16), jnp.array(0))",
        (4.32656264126747,),
        "optax#1020",
    ),
    Defect(
        "torch",
        "softmax",
        "(torch.softmax(f64([[0] * 513] * 2).cuda(), -1).sum(-1)).cpu()",
        (1.0, 1.0),
        "pytorch#147284",
        needs="torch.cuda.is_available()",
    ),
    # SciPy's signed logsumexp.
    Defect(
        "scipy",
        "logsumexp",
        "special.logsumexp([3.06409428, .37251854, 3.87471931], b=[1.88190708, 2.84174795, -.85016884])",
        # Exact: 1.24521651579073875 to eighteen digits; the last digits in the issue are those of another library.
        (1.2452165157907388,),
        "scipy#22903",
    ),
    Defect("scipy", "logsumexp", "special.logsumexp([inf], return_sign=True)", (inf, 1.0), "scipy#23548"),
    Defect("scipy", "logsumexp", "special.logsumexp([-1000, 0], b=[1, 0])", (-1000.0,), "scipy#4702"),
    # Labels, weights, smoothing.
    Defect(
        "torch",
        "cross_entropy",
        "F.cross_entropy(f64([[1, 2]]), i64([-100]))",
        (0.0,),
        "pytorch#70348",
        "0/0 rows is NaN by definition; 0 is what training wants",
    ),
    Defect(
        "torch",
        "cross_entropy",
        "F.cross_entropy(f64([[1, 2]]), i64([255]), ignore_index=255, reduction='none')",
        (0.0,),
        "pytorch#15508",
    ),
    Defect(
        "torch",
        "cross_entropy",
        "F.cross_entropy(f64([[0, 1, 2]]), i64([0]), weight=f64([1, 2, 3]), label_smoothing=.1, reduction='none')",
        (2.3076059644443806,),
        "pytorch#104776",
        SMOOTH,
    ),
    Defect(
        "torch",
        "cross_entropy",
        "F.cross_entropy(f64([[0, 1, 2], [2, 1, 0]]), f64([[1, 0, 0], [0, 1, 0]]), weight=f64([1, 2, 3]))",
        (1.740939297777714,),
        "pytorch#61044",
        SOFT,
    ),
    Defect(
        "torch", "cross_entropy", "F.cross_entropy(f64([[1, 2]]), i64([7]), reduction='none')", None, "pytorch#32049"
    ),
    Defect("tensorflow", "cross_entropy", "sparse(labels=[7], logits=f64([[1, 0]]))", None, "tensorflow#8484"),
    Defect(
        "tensorflow",
        "cross_entropy",
        "tf.function(lambda z: sparse(labels=[7], logits=z), jit_compile=True)(f64([[1, 0]]))",
        None,
        "tensorflow#126005",
    ),
    Defect(
        "tensorflow",
        "cross_entropy_grad",
        "grad(lambda z: soft(labels=f64([.2, .3, .1]), logits=z), f64([4, -4, 3]))",
        (0.238527601427146, -0.29985289037841745, 0.06132528895127146),
        "tensorflow#2327",
    ),
    Defect(
        "tensorflow",
        "cross_entropy_grad",
        "grad(lambda z: soft(labels=f64([0, 0, 0]), logits=z), f64([4, -4, 3]))",
        (0.0, 0.0, 0.0),
        "tensorflow#60314",
    ),
    # Keras: probabilities are clipped to [1e-7, 1 − 1e-7] and their logarithm taken.
    Defect(
        "keras",
        "cross_entropy",
        "losses.sparse_categorical_crossentropy(i64([0]), copy(tf.nn.softmax(f64([[0, 20]]))))",
        (20.000000002061153,),
        "keras#17634",
    ),
    Defect(
        "keras",
        "cross_entropy_grad",
        "grad(lambda z: losses.sparse_categorical_crossentropy(i64([0]), tf.identity(tf.nn.softmax(z))), "
        "f64([[0, 20]]))",
        (-0.9999999979388464, 0.9999999979388464),
        "keras#6983",
    ),
    Defect(
        "keras", "cross_entropy", "losses.categorical_crossentropy(f32([[1, 0]]), f32([[1, 0]]))", (0.0,), "keras#6338"
    ),
    Defect(
        "keras",
        "cross_entropy",
        "losses.categorical_crossentropy(f32([[1, 0, 0]]), f32([[0, 0, 0]]))",
        (inf,),
        "tf-keras#409",
    ),
    Defect(
        "keras",
        "binary_cross_entropy",
        "losses.binary_crossentropy(f32([[0], [1]]), f32([[1], [0]]))",
        (inf, inf),
        "tensorflow#62204",
    ),
    Defect(
        "keras",
        "cross_entropy",
        "losses.categorical_crossentropy(f64([[1, 0], [0, 1], [0, 0]]), f64([[1, 0], [0, 1], [0, 0]]), "
        "from_logits=True, label_smoothing=.3, axis=0)",
        (0.7514447139320511,) * 2,
        "tensorflow#127249",
    ),
    Defect(
        "sklearn",
        "cross_entropy",
        "log_loss([0], [[0., 1.]], labels=[0, 1])",
        (inf,),
        "sklearn#24315",
        "the loss at p = 0; the clip is documented",
    ),
)
