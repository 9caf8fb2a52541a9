"""The checks of the exercises of lessons/08_sampling."""

import torch

from diffusion_lab.exercises.feedback import Wrong, answers, diagnosed

X = torch.tensor([0.5, -0.5, 0.2, -0.8, 0.1], dtype=torch.float64)
Y = torch.tensor([1.2, -0.3, 0.9, -2.0, 0.4], dtype=torch.float64)
TABLE = torch.tensor([[0.3, -1.1, 0.6], [2.0, 0.7, -0.4]], dtype=torch.float64)
OTHER = torch.tensor([[-0.2, 0.8, 1.5], [0.9, -1.3, 0.1]], dtype=torch.float64)


@answers
def check_guide(attempt):
    def right(with_label, without_label, w):
        return (1 + w) * with_label - w * without_label

    causes = [
        ("the two are swapped: the answer *with* the label gets the weight above 1.", lambda x, y, w: right(y, x, w)),
        ("at w = 0 yours ignores the label: you used w and 1 - w. In (4) they are 1 + w and -w.",
         lambda x, y, w: w * x + (1 - w) * y),
        ("at w = 0 yours ignores the label: you used w and w - 1. In (4) they are 1 + w and -w, which add up to 1.",
         lambda x, y, w: w * x - (1 - w) * y),
        ("this goes towards the answer without the label. Go away from it.", lambda x, y, w: (1 - w) * x + w * y),
        ("the weights must add up to 1: subtract the answer without the label.", lambda x, y, w: (1 + w) * x + w * y),
        ("your weights are 1 + w and -1; they must add up to 1 for any w.", lambda x, y, w: (1 + w) * x - y),
        ("your weights are 1 + w and -(1 + w), which add up to 0: at w = 0 the answer with the label must be left.",
         lambda x, y, w: (1 + w) * (x - y)),
        ("add w times the *difference*, the answer with the label minus the one without.", lambda x, y, w: x + w * y),
        ("subtract w times the *difference*: as it is, your weights are 1 and -w.", lambda x, y, w: x - w * y),
        ("that is the difference alone. It is added to the answer with the label.", lambda x, y, w: w * (x - y)),
        ("w has no effect.", lambda x, y, w: x),
    ]
    diagnosed(attempt, right, causes, "Each unit of w adds the difference of the two once to the one with the label.",
              [(X, Y, 2.0), (TABLE, OTHER, 0.5), (X, Y, 0.0)])
    return "One line: most programs that draw from a text use it."


@answers
def check_noise_shares(attempt):
    def right(alpha_bar_t, alpha_bar_s, eta):
        return roots(1 - alpha_bar_s, eta**2 * beta_tilde(alpha_bar_t, alpha_bar_s))

    causes = [
        ("these are the variances. The factors in (1) are their roots.",
         lambda t, s, eta: (1 - s - eta**2 * beta_tilde(t, s), eta**2 * beta_tilde(t, s))),
        ("the two are swapped: first the old noise, ε̂, then the fresh one.", lambda t, s, eta: right(t, s, eta)[::-1]),
        ("the two variances must add up to 1-ᾱ_s: what is fresh, the old noise gives up.",
         lambda t, s, eta: ((1 - s) ** 0.5, eta * beta_tilde(t, s) ** 0.5)),
        ("variances are subtracted, not deviations: √(1-ᾱ_s-σ²).",
         lambda t, s, eta: ((1 - s) ** 0.5 - eta * beta_tilde(t, s) ** 0.5, eta * beta_tilde(t, s) ** 0.5)),
        ("under the root you subtracted σ, a deviation; subtract σ², the variance. (Where σ is above 1-ᾱ_s, yours is "
         "the root of a negative number.)",
         lambda t, s, eta: ((1 - s - eta * beta_tilde(t, s) ** 0.5) ** 0.5, eta * beta_tilde(t, s) ** 0.5)),
        ("σ² is η² times β tilde, and you have η.", lambda t, s, eta: roots(1 - s, eta * beta_tilde(t, s))),
        ("the old noise is right. The fresh factor is σ = η √β tilde, and you have η².",
         lambda t, s, eta: (right(t, s, eta)[0], eta**2 * beta_tilde(t, s) ** 0.5)),
        ("you took β for β tilde: it must be multiplied by (1-ᾱ_s)/(1-ᾱ_t).",
         lambda t, s, eta: roots(1 - s, eta**2 * (1 - t / s))),
        ("the old noise is right. For the fresh one you took β for β tilde.",
         lambda t, s, eta: (right(t, s, eta)[0], eta * (1 - t / s) ** 0.5)),
        ("the fraction in β tilde is upside down. (So your σ² can be above 1-ᾱ_s, and the root is that of a negative "
         "number.)", lambda t, s, eta: roots(1 - s, eta**2 * (1 - t / s) * (1 - t) / (1 - s))),
        ("your σ² is η² (1-ᾱ_s); that is what 1-ᾱ_t in place of β gives, for it cancels. The step starts at t and ends "
         "at s: β = 1 - ᾱ_t/ᾱ_s, not 1-ᾱ_t, and σ² = η² β (1-ᾱ_s)/(1-ᾱ_t).",
         lambda t, s, eta: roots(1 - s, eta**2 * (1 - s))),
        ("a root is forgotten: σ = η √β tilde, and you have η β tilde.",
         lambda t, s, eta: ((1 - s - (eta * beta_tilde(t, s)) ** 2) ** 0.5, eta * beta_tilde(t, s))),
        ("the old noise is right. For the fresh one a root is forgotten: σ = η √β tilde, and you have η β tilde.",
         lambda t, s, eta: (right(t, s, eta)[0], eta * beta_tilde(t, s))),
        ("η has no effect.", lambda t, s, eta: right(t, s, 1.0)),
        ("the noise is that of time s, where its variance is 1-ᾱ_s, not 1-ᾱ_t.",
         lambda t, s, eta: roots(1 - t, eta**2 * beta_tilde(t, s))),
        ("the variance of all noise at time s is 1-ᾱ_s; you subtracted σ² from 1.",
         lambda t, s, eta: roots(1, eta**2 * beta_tilde(t, s))),
        ("the fresh noise is right. What is subtracted from 1-ᾱ_s is its variance, σ² = η² β tilde, not η² (1-ᾱ_s).",
         lambda t, s, eta: (((1 - s) * (1 - eta**2)) ** 0.5, right(t, s, eta)[1])),
    ]
    look = "First √(1-ᾱ_s-σ²), the factor of ε̂; then σ = η √β tilde, that of the fresh noise."
    diagnosed(as_floats(attempt), right, causes, look,  # first where no usual mistake asks for the root of less than 0
              [(0.6, 0.7, 0.3), (0.3, 0.5, 0.25)])
    diagnosed(as_floats(attempt), right, causes, look,
              [(0.3, 0.8, 0.5), (0.3, 0.8, 1.0), (0.3, 0.8, 0.0), (0.05, 0.4, 0.8)])
    diagnosed(as_floats(attempt), right, [], f"Right in between, but not where the step ends at the data. {look}",
              [(0.6, 1.0, 0.7), (0.05, 1.0, 1.0)])
    return "Their squares add up to 1-ᾱ_s, for any η; and on the last step, where ᾱ_s = 1, both are 0."


def beta_tilde(alpha_bar_t, alpha_bar_s):
    return (1 - alpha_bar_t / alpha_bar_s) * (1 - alpha_bar_s) / (1 - alpha_bar_t)


def roots(total, var):
    """The two factors, if `var` of the variance `total` is fresh; the first is complex if there is not so much."""
    return (total - var) ** 0.5, var**0.5


def as_floats(attempt):
    """The reader's function, where floats are due: a tensor made of one has torch's default dtype, no fault."""

    def answer(*case):
        given = attempt(*case)
        if isinstance(given, (tuple, list)):
            return type(given)(part.double() if torch.is_tensor(part) else part for part in given)
        return given.double() if torch.is_tensor(given) else given

    return answer


@answers
def check_ddim_step(attempt):
    def right(x_t, x_0_hat, alpha_bar_t, alpha_bar_s):
        return mixed(x_0_hat, noise_in(x_t, x_0_hat, alpha_bar_t), alpha_bar_s)

    causes = [
        ("1 - ᾱ_s is a variance: the factor of the noise is its root.",
         lambda x, y, t, s: s**0.5 * y + (1 - s) * noise_in(x, y, t)),
        ("1-√ᾱ_s is not √(1-ᾱ_s): subtract first, then take the root.",
         lambda x, y, t, s: s**0.5 * y + (1 - s**0.5) * noise_in(x, y, t)),
        ("the factor of x̂_0 is √ᾱ_s, not ᾱ_s.", lambda x, y, t, s: s * y + (1 - s) ** 0.5 * noise_in(x, y, t)),
        ("at time s the digit is still shrunk: √ᾱ_s times x̂_0.",
         lambda x, y, t, s: y + (1 - s) ** 0.5 * noise_in(x, y, t)),
        ("the noise is not x_t itself; take √ᾱ_t x̂_0 out of it and rescale.", lambda x, y, t, s: mixed(y, x, s)),
        ("ε̂ is not rescaled: divide by √(1-ᾱ_t).", lambda x, y, t, s: mixed(y, x - t**0.5 * y, s)),
        ("in ε̂ you divided by 1-ᾱ_t; that is a variance: divide by its root.",
         lambda x, y, t, s: mixed(y, (x - t**0.5 * y) / (1 - t), s)),
        ("in x_t the digit is shrunk: √ᾱ_t x̂_0.", lambda x, y, t, s: mixed(y, (x - y) / (1 - t) ** 0.5, s)),
        ("in x_t the factor of x̂_0 is √ᾱ_t; to find ε̂ you took out ᾱ_t x̂_0.",
         lambda x, y, t, s: mixed(y, (x - t * y) / (1 - t) ** 0.5, s)),
        # taking ε̂ out and mixing it in at one and the same time gives x_t back, whichever of the two times it is
        ("you are back at x_t: take ε̂ out of it with ᾱ_t, and mix as at time s, with ᾱ_s.", lambda x, y, t, s: x),
        ("the two times are swapped: take ε̂ out of x_t with ᾱ_t, and mix as at time s, with ᾱ_s.",
         lambda x, y, t, s: right(x, y, s, t)),
        ("the sign of the noise is turned: in (1) it is added.", lambda x, y, t, s: mixed(y, -noise_in(x, y, t), s)),
        ("the two factors of the mixture are swapped: √ᾱ_s belongs to x̂_0.",
         lambda x, y, t, s: mixed(noise_in(x, y, t), y, s)),
        ("that is ε̂, the noise in x_t. Mix x̂_0 and ε̂ as at time s.", lambda x, y, t, s: noise_in(x, y, t)),
        ("the noise is missing: that is the middle of the place where x_s may lie.", lambda x, y, t, s: s**0.5 * y),
    ]
    diagnosed(attempt, right, causes,
              "Find ε̂ from equation (1) of notebook 05 at time t; then use the same equation at time s.",
              [(X, Y, 0.3, 0.8), (Y.flip(0), X, 0.05, 0.6)])
    between = "Right in between, but not where the step ends at the data, ᾱ_s = 1: "
    end = "There x_s is x̂_0, with no noise, and nothing may be divided by 1-ᾱ_s = 0."

    def at_the_data(*case):
        try:
            return attempt(*case)
        except (ArithmeticError, ValueError) as error:
            raise Wrong(between + "your code stopped with {kind}: {error}. " + end, kind=type(error).__name__,
                        error=error) from None

    diagnosed(at_the_data, right, [(f"{between}yours is not a number. {end}", lambda x, y, t, s: torch.nan * x)],
              between + end, [(X, Y, 0.3, 1.0), (Y.flip(0), X, 0.05, 1.0)])
    return "The noise that was there stays; only its share becomes smaller."


def noise_in(x_t, x_0, alpha_bar_t):
    return (x_t - alpha_bar_t**0.5 * x_0) / (1 - alpha_bar_t) ** 0.5


def mixed(x_0, eps, alpha_bar):
    return alpha_bar**0.5 * x_0 + (1 - alpha_bar) ** 0.5 * eps


@answers
def check_better_guess(attempt):
    def right(previous, current, lambda_prev, lambda_t, lambda_s):
        return current + slope(previous, current, lambda_prev, lambda_t) * (lambda_s - lambda_t) / 2

    def slope(previous, current, lambda_prev, lambda_t):
        return (current - previous) / (lambda_t - lambda_prev)

    causes = [
        ("that is the line at the *end* of the step. Its middle is half as far.",
         lambda p, c, a, b, e: c + slope(p, c, a, b) * (e - b)),
        ("the slope is divided by the wrong length: by that of the previous step.",
         lambda p, c, a, b, e: c + (c - p) / (e - b) * (b - a) / 2),
        ("the two answers lie λ_t - λ_prev apart; you divided their difference by λ_s - λ_prev.",
         lambda p, c, a, b, e: c + (c - p) / (e - a) * (e - b) / 2),
        ("your steps are taken to be equally long; here they are not.", lambda p, c, a, b, e: c + (c - p) / 2),
        ("the sign is turned: this goes back towards the previous answer.",
         lambda p, c, a, b, e: c - slope(p, c, a, b) * (e - b) / 2),
        ("start from the present answer, not from the previous one.",
         lambda p, c, a, b, e: p + slope(p, c, a, b) * (e - b) / 2),
        ("from λ_t to the middle of the step it is (λ_s - λ_t)/2; (λ_t + λ_s)/2 is where the middle lies.",
         lambda p, c, a, b, e: c + slope(p, c, a, b) * (b + e) / 2),
        ("the step begins at λ_t: from there to its middle it is (λ_s - λ_t)/2, and you went (λ_s - λ_prev)/2.",
         lambda p, c, a, b, e: c + slope(p, c, a, b) * (e - a) / 2),
        ("you went half a unit of λ along the line; half of the *step* is (λ_s - λ_t)/2.",
         lambda p, c, a, b, e: c + slope(p, c, a, b) / 2),
        ("that is the slope alone. Go along it from the present answer, half a step.",
         lambda p, c, a, b, e: slope(p, c, a, b)),
        ("that is the mean of the two, which lies in the past. Draw the line on, into the step.",
         lambda p, c, a, b, e: (p + c) / 2),
        ("that is DDIM: the previous answer is not used.", lambda p, c, a, b, e: c),
    ]
    diagnosed(attempt, right, causes,
              "The slope is the difference of the answers over the difference of their times; go half a step along it.",
              [(X, Y, -2.0, -1.5, -0.3), (TABLE, OTHER, 0.4, 2.1, 2.7)])
    return "That is all that makes DPM-Solver++ second order."
