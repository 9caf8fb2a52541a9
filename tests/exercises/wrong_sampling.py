"""Wrong answers to the exercises of notebook 08, each with words that the check's message must contain."""

from diffusion_lab.exercises.sampling import check_better_guess, check_ddim_step, check_guide, check_times


def step(eps=lambda x, y, a, b: (x - a**0.5 * y) / (1 - a) ** 0.5,
         mix=lambda y, e, a, b: b**0.5 * y + (1 - b) ** 0.5 * e):
    """An answer to the exercise on DDIM, with one part exchanged. a, b: ᾱ_t and ᾱ_s."""
    return lambda x_t, x_0_hat, a, b: mix(x_0_hat, eps(x_t, x_0_hat, a, b), a, b)


WRONG = {
    check_guide: [
        (lambda x, y, w: (1 + w) * y - w * x, "swapped"),
        (lambda x, y, w: w * x + (1 - w) * y, "w and 1 - w"),
        (lambda x, y, w: (1 - w) * x + w * y, "towards the answer without"),
        (lambda x, y, w: (1 + w) * x + w * y, "add up to 1"),
        (lambda x, y, w: x + w * y, "the *difference*"),
        (lambda x, y, w: w * (x - y), "the difference alone"),
        (lambda x, y, w: x, "no effect"),
        (lambda x, y, w: None, "return"),
    ],
    check_times: [
        (lambda T, n: [T // n * k for k in range(n)][::-1], "contains 0"),
        (lambda T, n: [T // n * k + 1 for k in range(n)][::-1], "leading"),
        (lambda T, n: [T - k * (T // n) for k in range(n)], "not equal"),
        (lambda T, n: [T * (n - k) / n for k in range(n)], "no whole numbers"),
        (lambda T, n: [round(T * (k + 1) / n) for k in range(n)], "rise"),
        (lambda T, n: [T - round(k * (T - 1) / max(n - 1, 1)) for k in range(n)], "not equal"),
        (lambda T, n: list(range(T, 0, -(T // n))), "times, but yours"),
        (lambda T, n: None, "return"),
    ],
    check_ddim_step: [
        (step(mix=lambda y, e, a, b: b**0.5 * y + (1 - b) * e), "its root"),
        (step(mix=lambda y, e, a, b: b * y + (1 - b) ** 0.5 * e), "not ᾱ_s"),
        (step(mix=lambda y, e, a, b: y + (1 - b) ** 0.5 * e), "still shrunk"),
        (step(eps=lambda x, y, a, b: x), "not x_t itself"),
        (step(eps=lambda x, y, a, b: x - a**0.5 * y), "not rescaled"),
        (step(eps=lambda x, y, a, b: (x - y) / (1 - a) ** 0.5), "in x_t the digit is shrunk"),
        (step(eps=lambda x, y, a, b: (x - b**0.5 * y) / (1 - b) ** 0.5), "it needs ᾱ_t"),
        (step(mix=lambda y, e, a, b: a**0.5 * y + (1 - a) ** 0.5 * e), "back at x_t"),
        (step(mix=lambda y, e, a, b: b**0.5 * y), "noise is missing"),
    ],
    check_better_guess: [
        (lambda p, c, a, b, e: c + (c - p) * (e - b) / (b - a), "the *end* of the step"),
        (lambda p, c, a, b, e: c + (c - p) * (b - a) / (2 * (e - b)), "the wrong length"),
        (lambda p, c, a, b, e: c + (c - p) / 2, "equally long"),
        (lambda p, c, a, b, e: c - (c - p) * (e - b) / (2 * (b - a)), "the sign"),
        (lambda p, c, a, b, e: p + (c - p) * (e - b) / (2 * (b - a)), "present answer"),
        (lambda p, c, a, b, e: (p + c) / 2, "in the past"),
        (lambda p, c, a, b, e: c, "that is DDIM"),
    ],
}
