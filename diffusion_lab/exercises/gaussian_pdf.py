"""The checks of the exercises of lessons/01_gaussian_pdf."""

import torch

from diffusion_lab.exercises.feedback import NONE, NOT_SO_MANY, Wrong, answers, diagnosed
from diffusion_lab.theory.gaussian import kl

X = torch.tensor([-1.5, -0.2, 0.0, 0.7, 2.0], dtype=torch.float64)
Y = torch.tensor([0.4, -1.1, 2.5], dtype=torch.float64)


def part(attempt, i):
    """The reader's function for one of its two results; raises Wrong where it gives no two.

    Where a float is due, no dtype was promised: a tensor's single number counts in float32, too.
    """

    def one_of(*case):
        given = attempt(*case)
        if given is None:
            raise Wrong(NONE)
        if not hasattr(given, "__len__") or len(given) != 2:
            raise Wrong(NOT_SO_MANY, n=2, kind=type(given).__name__)
        number = given[i]
        return float(number) if getattr(number, "shape", None) == () and "float" in str(number.dtype) else number

    return one_of


@answers
def check_draw(attempt):
    def right(mean, var, eps):
        return mean + var**0.5 * eps

    causes = [
        ("you multiplied by the variance. Your draws have variance var², not var: take the root first.",
         lambda mean, var, eps: mean + var * eps),
        ("you multiplied by the variance's square; the factor of eps is its root.",
         lambda mean, var, eps: mean + var**2 * eps),
        ("half the variance is not its root: the factor of eps is var ** 0.5.",
         lambda mean, var, eps: mean + var / 2 * eps),
        ("you added the mean before you scaled, so the mean was scaled, too. Scale first, then add.",
         lambda mean, var, eps: var**0.5 * (mean + eps)),
        ("you added the mean before you scaled, and you scaled by the variance. Scale by its root first, then add.",
         lambda mean, var, eps: var * (mean + eps)),
        ("the spread is right, but the mean is missing: your draws are around 0.",
         lambda mean, var, eps: var**0.5 * eps),
        ("the mean is right, but you did not scale eps: your draws have variance 1.",
         lambda mean, var, eps: mean + eps),
        ("you divided by the deviation; to make a draw, multiply.", lambda mean, var, eps: mean + eps / var**0.5),
        ("that is how to standardise a draw. To make one, go the other way: multiply first, then add.",
         lambda mean, var, eps: (eps - mean) / var**0.5),
        ("the two numbers are swapped: the mean is added, and the deviation is the factor of eps.",
         lambda mean, var, eps: var**0.5 + mean * eps),
        ("you subtracted; in equation (2) the scaled eps is added.", lambda mean, var, eps: mean - var**0.5 * eps),
        ("you took the absolute values of eps, so that all your draws are above the mean.",
         lambda mean, var, eps: mean + var**0.5 * eps.abs()),
    ]
    diagnosed(attempt, right, causes, "See equation (2): the mean, plus the deviation times eps.",
              [(3.0, 5.0, X), (-1.5, 0.3, Y)])
    return "Your draws have the mean and the variance that were asked for."


@answers
def check_sum(attempt):
    def mean(a, mean_1, var_1, b, mean_2, var_2):
        return a * mean_1 + b * mean_2

    def var(a, mean_1, var_1, b, mean_2, var_2):
        return a**2 * var_1 + b**2 * var_2

    wrong_means = [
        ("your first result is the variance: the mean comes first.", var),
        ("you squared the factors in the mean. Squares belong to the variance; the mean takes a and b.",
         lambda a, m, v, b, n, w: a**2 * m + b**2 * n),
        ("you added the means of x and y, but the factors a and b change them.", lambda a, m, v, b, n, w: m + n),
        ("the sign of b is lost in the mean: the mean of b y is b μ_2.", lambda a, m, v, b, n, w: a * m + abs(b) * n),
        ("you averaged the means; the mean of a sum is the sum of the means.",
         lambda a, m, v, b, n, w: (a * m + b * n) / 2),
    ]
    wrong_vars = [
        ("you added deviations. Variances add: independent numbers cancel each other now and then.",
         lambda a, m, v, b, n, w: (a * v**0.5 + b * w**0.5) ** 2),
        ("you added deviations. Variances add: independent numbers cancel each other now and then.",
         lambda a, m, v, b, n, w: (abs(a) * v**0.5 + abs(b) * w**0.5) ** 2),
        ("you added deviations, and returned their sum. Variances add, and a variance was asked for.",
         lambda a, m, v, b, n, w: a * v**0.5 + b * w**0.5),
        ("you added deviations, and returned their sum. Variances add, and a variance was asked for.",
         lambda a, m, v, b, n, w: abs(a) * v**0.5 + abs(b) * w**0.5),
        ("you did not square the factors: a factor a multiplies the deviation by a, the variance by a².",
         lambda a, m, v, b, n, w: a * v + b * w),
        ("you did not square the factors: a factor a multiplies the deviation by a, the variance by a².",
         lambda a, m, v, b, n, w: abs(a) * v + abs(b) * w),
        ("you subtracted a variance. With a negative factor, b² is positive still: uncertainty adds up.",
         lambda a, m, v, b, n, w: a**2 * v - b**2 * w),
        ("that is the deviation of the sum; the variance was asked for, so leave out the root.",
         lambda a, m, v, b, n, w: (a**2 * v + b**2 * w) ** 0.5),
        ("you added the variances of x and y, but the factors a and b change them.", lambda a, m, v, b, n, w: v + w),
        ("you squared the variances. They are σ² already.", lambda a, m, v, b, n, w: a**2 * v**2 + b**2 * w**2),
        ("a and b act on x and y one by one: square each of them, not their sum.",
         lambda a, m, v, b, n, w: (a + b) ** 2 * (v + w)),
    ]
    numbers = [(2.0, 1.0, 9.0, -3.0, 0.5, 1.5), (0.7, -2.0, 0.5, 1.3, 3.0, 2.0)]
    diagnosed(part(attempt, 0), mean, wrong_means, "The mean: that of a x is a μ_1, and means add.", numbers)
    diagnosed(part(attempt, 1), var, wrong_vars, "The mean is right. The variance: Var(a x) = a² Var(x), then "
              "equation (3).", numbers)
    return "Means add, variances add, and factors act on variances by their squares."


@answers
def check_kl_to_standard(attempt):
    def right(mean, var):
        return 0.5 * (var + mean**2 - 1 - torch.log(var))

    causes = [
        ("twice too large: the factor ½ in front of equation (9) is missing.", lambda mean, var: 2 * right(mean, var)),
        ("the ½ in front belongs to all four terms: your first term has it alone. Mind the brackets.",
         lambda mean, var: 0.5 * var + mean**2 - 1 - torch.log(var)),
        ("the ½ in front belongs to all four terms: the logarithm is outside your brackets.",
         lambda mean, var: 0.5 * (var + mean**2 - 1) - torch.log(var)),
        ("that is KL(N(0, 1) ‖ N(mean, var)): the two are the wrong way round. p is N(mean, var).",
         lambda mean, var: kl(0.0, 1.0, mean, var)),
        ("all signs are turned: a KL is never negative, and yours is.", lambda mean, var: -right(mean, var)),
        ("the sign of the logarithm is wrong: it is subtracted.", lambda mean, var: right(mean, var) + torch.log(var)),
        ("the sign of mean² is wrong: it is added.", lambda mean, var: right(mean, var) - mean**2),
        ("½ too large: the -1 is missing, so that your KL of N(0, 1) from itself is not 0.",
         lambda mean, var: right(mean, var) + 0.5),
        ("1 too large: the sign of the 1 is wrong, so that your KL of N(0, 1) from itself is not 0.",
         lambda mean, var: right(mean, var) + 1),
        ("you used the deviation where equation (9) has the variance.",
         lambda mean, var: 0.5 * (var**0.5 + mean**2 - 1 - torch.log(var) / 2)),
        ("you used the deviation where equation (9) has the variance.",
         lambda mean, var: 0.5 * (var**0.5 + mean**2 - 1 - torch.log(var))),
        ("you squared var. It is the variance already, the σ² of equation (9), and no deviation.",
         lambda mean, var: kl(mean, var**2, 0.0, 1.0)),
        ("you squared var. It is the variance already, the σ² of equation (9), and no deviation.",
         lambda mean, var: 0.5 * (var**2 + mean**2 - 1 - torch.log(var))),
        ("you took the logarithm to base 10. Nats need the natural one: `torch.log`.",
         lambda mean, var: 0.5 * (var + mean**2 - 1 - torch.log10(var))),
        ("you took the logarithm to base 2. Nats need the natural one: `torch.log`.",
         lambda mean, var: 0.5 * (var + mean**2 - 1 - torch.log2(var))),
        ("the mean enters squared.", lambda mean, var: 0.5 * (var + mean - 1 - torch.log(var))),
        ("the mean enters squared.", lambda mean, var: 0.5 * (var + mean.abs() - 1 - torch.log(var))),
        ("the mean is missing.", lambda mean, var: 0.5 * (var - 1 - torch.log(var))),
        ("you halved the logarithm twice: the ½ in front belongs to all four terms, once.",
         lambda mean, var: right(mean, var) + torch.log(var) / 4),
        ("each pair of numbers has a KL of its own: do not add them up.", lambda mean, var: right(mean, var).sum()),
        ("each pair of numbers has a KL of its own: do not average them.", lambda mean, var: right(mean, var).mean()),
    ]
    diagnosed(attempt, right, causes, "Put the mean 0 and the variance 1 in for q, and go through (9) term by term.",
              [(X, torch.tensor([0.1, 0.5, 1.0, 2.0, 5.0], dtype=torch.float64)),
               (Y, torch.tensor([0.3, 3.0, 0.05], dtype=torch.float64))])
    return "0 for N(0, 1) itself, positive for all others."


@answers
def check_conditional(attempt):
    def var(y, a, v, w):
        return 1 / (1 / v + a**2 / w)

    def mean(y, a, v, w):
        return var(y, a, v, w) * a * y / w

    wrong_vars = [
        ("your second result is the mean: the mean comes first.", mean),
        ("w is the variance of y given x. Asked is x given y: what the measurement tells about x.",
         lambda y, a, v, w: w),
        ("v is the variance of x before the measurement; y makes it smaller.", lambda y, a, v, w: v),
        ("a²v + w is the variance of y. Asked is that of x given y.", lambda y, a, v, w: a**2 * v + w),
        ("w/a² is what the measurement leaves alone. But x is drawn from N(0, v), too: add the precisions.",
         lambda y, a, v, w: w / a**2),
        ("the factor a enters the precision of the measurement squared: the variance of y/a is w/a².",
         lambda y, a, v, w: 1 / (1 / v + a / w)),
        ("the precision of the measurement is upside down: the variance of y/a is w/a².",
         lambda y, a, v, w: 1 / (1 / v + 1 / (a**2 * w))),
        ("that is the precision. The variance is one over it.", lambda y, a, v, w: 1 / v + a**2 / w),
        ("that is the deviation of x given y; the variance was asked for, so leave out the root.",
         lambda y, a, v, w: (1 / v + a**2 / w) ** -0.5),
        ("you added the variances, as for a sum. Two sources about one x multiply: add the precisions.",
         lambda y, a, v, w: v + w / a**2),
        ("you added the variances, as for a sum. Two sources about one x multiply: add the precisions.",
         lambda y, a, v, w: v + w),
        ("the factor a is missing: y is a measurement of a x, so y/a, with variance w/a², is one of x.",
         lambda y, a, v, w: 1 / (1 / v + 1 / w)),
        ("w is a variance already: neither square it nor take its root.", lambda y, a, v, w: 1 / (1 / v + a**2 / w**2)),
        ("w is a variance already: neither square it nor take its root.",
         lambda y, a, v, w: 1 / (1 / v + a**2 / w**0.5)),
        ("the variance is one number, the same for all y, and yours is one for each.",
         lambda y, a, v, w: torch.full_like(y, var(y, a, v, w))),
    ]
    wrong_means = [
        ("y/a is what the measurement says alone. You also know that x is drawn from N(0, v): combine them.",
         lambda y, a, v, w: y / a),
        ("that is y itself, as it was measured. Asked is the mean of x given y.", lambda y, a, v, w: y),
        ("a times is the way from x to y. The mean goes back, from y to x.", lambda y, a, v, w: a * y),
        ("the variance is right; the mean lacks the factor a: y/a counts with precision a²/w, not y with 1/w.",
         lambda y, a, v, w: y * v / (v + w)),
        ("the variance is right; in the mean, the noise of y/a has the variance w/a², not w.",
         lambda y, a, v, w: y / a * v / (v + w)),
        ("the variance is right; in the mean, y/a counts with precision a²/w: that makes a y/w.",
         lambda y, a, v, w: var(y, a, v, w) * y / w),
        ("the variance is right; in the mean it is missing: the precisions weigh, and their sum divides.",
         lambda y, a, v, w: a * y / w),
        ("the variance is right; in the mean, by (7), the factor σ_1/σ_2 is missing: √v over √(a²v + w).",
         lambda y, a, v, w: a * v**0.5 / (a**2 * v + w) ** 0.5 * y),
        ("the variance is right; in the mean the weights are swapped: y/a counts the more, the smaller w is.",
         lambda y, a, v, w: (1 - a**2 * var(y, a, v, w) / w) * y / a),
    ]
    numbers = [(X, 0.6, 2.0, 0.7), (Y, 1.4, 0.3, 0.9)]
    diagnosed(part(attempt, 1), var, wrong_vars, "The variance: by (4) the precisions 1/v and a²/w add up.", numbers)
    diagnosed(part(attempt, 0), mean, wrong_means, "The variance is right. The mean: by (4) it is the average of 0 and "
              "y/a, each weighted by its precision; by (7) it is ρ σ_1/σ_2 times y.", numbers)
    return "You derived the exact denoiser of a Gaussian pixel: shrink y, by how much depends on the noise."
