"""Numbers whose rounding is known. Begin with scaling.

There are three exponentials, for different arguments:

term            of a logit, in a row's scaling: a table's power of two times 1 + p; no subtraction is rounded
exp             of a difference d + d_lo that was rounded: block kernels, and single numbers of a row
double_double   of about 104 bits, for logits under a softcap or a temperature

scaling        the powers of two relative to which a row's terms are kept
exponentials   a row's terms if its logits have more bits than their dtype
log            log(1 + x) and log s as pairs              sums   sums in a fixed order that lose nothing
"""
