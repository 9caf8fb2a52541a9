"""The variance of a mean.

Taught in: lessons/99_your_lesson
"""


def var_of_mean(var, n):
    """Variance of the mean of n independent draws of variance var: var / n, equation (1) of the lesson.

    var, n: positive; numbers or tensors. Returns what their quotient is.
    """
    return var / n
