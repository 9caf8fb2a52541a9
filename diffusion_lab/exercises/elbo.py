"""The checks of the exercises of lessons/04_elbo."""

import math

import torch

from diffusion_lab.exercises.feedback import answers, diagnosed
from diffusion_lab.theory.gaussian import kl

LOG_2 = math.log(2)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


@answers
def check_to_bits(attempt):
    def right(nats, d):
        return nats / (d * LOG_2)

    causes = [
        ("these are the bits of the whole image: divide by the number of its pixels, too.",
         lambda nats, d: nats / LOG_2),
        ("these are nats per dimension: a bit is log 2 = 0.693 nats, so divide by log 2.", lambda nats, d: nats / d),
        ("you multiplied by log 2. A bit is less than a nat, so the number in bits must be the larger one.",
         lambda nats, d: nats * LOG_2 / d),
        ("the sign is turned: a bound on -log p in nats stays positive in bits.", lambda nats, d: -right(nats, d)),
        ("you divided by log 10, but a bit is log 2 nats; 256 equally likely values are 8 bits for each pixel.",
         lambda nats, d: nats / (d * math.log(10))),
        ("you divided by log 256: that is the number of bytes. A bit is log 2 nats.",
         lambda nats, d: nats / (d * math.log(256))),
        ("you divided by 2 itself; a bit is log 2 nats.", lambda nats, d: nats / (d * 2)),
        ("you multiplied by d: a dimension has its share of the bits of the whole image, so divide.",
         lambda nats, d: nats * d / LOG_2),
        ("you took the logarithm of the nats. They are logarithms already: another base is another factor.",
         lambda nats, d: torch.log2(nats) / d),
        ("you divided by the number of images; divide by d, the number of pixels in each.",
         lambda nats, d: nats / (len(nats) * LOG_2)),
        ("each image has a number of its own: do not average over the images.", lambda nats, d: right(nats, d).mean()),
        ("each image has a number of its own: do not add up the images.", lambda nats, d: right(nats, d).sum()),
    ]
    diagnosed(attempt, right, causes, "A bit is log 2 nats, and the bits are those of d dimensions.",
              [(tensor(784 * math.log(256), 1000.0), 784), (tensor(20.0, 3.5, 50.0), 12)])
    return "Uniform pixels cost 8 bits each, as they should."


@answers
def check_step_term(attempt):
    def right(q_mean, q_var, p_mean, p_var):
        return kl(q_mean, q_var, p_mean, p_var)

    def half(ratio, distance, log):
        return 0.5 * (ratio + distance - 1 - log)

    squared = "you squared a variance. q_var and p_var are variances already, not deviations."
    root = "you took the root of a variance: q_var and p_var enter as they are."
    causes = [
        ("your answer is 0 for Gaussians that differ, as it is if one of them is compared with itself. A chain whose p "
         "is made from q's own draw gives terms of about 0, too, whatever the model does.",
         lambda m, v, n, w: torch.zeros_like(m)),
        ("that is KL(p ‖ q). The bound averages over q, what the data does, so q comes first.",
         lambda m, v, n, w: kl(n, w, m, v)),
        ("you compared the means only. With different variances the rest of the KL is not 0.",
         lambda m, v, n, w: 0.5 * (m - n) ** 2 / w),
        ("that is the squared distance of the means alone. p_var divides it, and the variances count, too.",
         lambda m, v, n, w: (m - n) ** 2),
        ("that is the squared distance of the means alone. p_var divides it, and the variances count, too.",
         lambda m, v, n, w: 0.5 * (m - n) ** 2),
        ("you compared the variances only; the distance of the means is missing.",
         lambda m, v, n, w: half(v / w, 0, torch.log(v / w))),
        ("twice too large: the factor ½ is missing.", lambda m, v, n, w: 2 * right(m, v, n, w)),
        ("the ½ in front belongs to all four terms: the logarithm is outside your brackets.",
         lambda m, v, n, w: right(m, v, n, w) - 0.5 * torch.log(v / w)),
        ("the ½ in front belongs to all four terms, once: you halved the logarithm twice.",
         lambda m, v, n, w: right(m, v, n, w) + 0.25 * torch.log(v / w)),
        ("the -1 is missing, so that two equal Gaussians are ½ apart.", lambda m, v, n, w: right(m, v, n, w) + 0.5),
        ("all signs are turned: a KL is never negative, and yours is.", lambda m, v, n, w: -right(m, v, n, w)),
        ("the logarithm has the wrong sign: log(q_var/p_var) is subtracted.",
         lambda m, v, n, w: right(m, v, n, w) + torch.log(v / w)),
        ("the squared distance is divided by p_var: p is the one that is surprised.",
         lambda m, v, n, w: half(v / w, (m - n) ** 2 / v, torch.log(v / w))),
        ("the ratio of the variances is upside down: q's stands above, p's below.",
         lambda m, v, n, w: half(w / v, (m - n) ** 2 / w, torch.log(v / w))),
        ("the distance of the means is not divided by p_var.",
         lambda m, v, n, w: half(v / w, (m - n) ** 2, torch.log(v / w))),
        ("the distance of the means enters squared.", lambda m, v, n, w: half(v / w, (m - n) / w, torch.log(v / w))),
        ("the distance of the means enters squared.",
         lambda m, v, n, w: half(v / w, (m - n).abs() / w, torch.log(v / w))),
        (squared, lambda m, v, n, w: half(v / w, ((m - n) / w) ** 2, torch.log(v / w))),
        (squared, lambda m, v, n, w: half((v / w) ** 2, ((m - n) / w) ** 2, torch.log(v / w))),
        (squared, lambda m, v, n, w: kl(m, v**2, n, w**2)),
        (root, lambda m, v, n, w: half((v / w) ** 0.5, (m - n) ** 2 / w, torch.log(v / w))),
        (root, lambda m, v, n, w: kl(m, v**0.5, n, w**0.5)),
        (root, lambda m, v, n, w: half(v / w, (m - n) ** 2 / w**0.5, torch.log(v / w))),
        ("you took the logarithm to base 10. Nats need the natural one: `torch.log`.",
         lambda m, v, n, w: half(v / w, (m - n) ** 2 / w, torch.log10(v / w))),
        ("you took the logarithm to base 2. Nats need the natural one: `torch.log`.",
         lambda m, v, n, w: half(v / w, (m - n) ** 2 / w, torch.log2(v / w))),
        ("that is q's distance from N(0, 1), and p does not appear.", lambda m, v, n, w: kl(m, v, 0.0, 1.0)),
        ("each pair of Gaussians has a term of its own: do not add them up.", lambda *case: right(*case).sum()),
        ("each pair of Gaussians has a term of its own: do not average them.", lambda *case: right(*case).mean()),
    ]
    diagnosed(attempt, right, causes, "Equation (9) of notebook 01, with q for its p and p for its q, term by term.",
              [(tensor(0.3, -0.5, 0.0), tensor(0.02, 0.3, 0.1), tensor(0.1, -0.2, 0.0), tensor(0.05, 0.1, 0.1)),
               (tensor(1.5, -2.0), tensor(2.5, 0.4), tensor(0.2, -2.3), tensor(1.7, 3.0))])
    return "0 where the two are equal, positive elsewhere."


@answers
def check_eps_weight(attempt):
    def right(beta_t, alpha_bar_t, p_var):
        return beta_t**2 / (2 * p_var * (1 - beta_t) * (1 - alpha_bar_t))

    brackets = "all that is below stands in brackets: a / b * c is (a / b) * c."
    causes = [
        ("twice too large: the 2 of the Gaussian's exponent is missing below.", lambda b, a, v: 2 * right(b, a, v)),
        ("β_t enters squared: the distance of the means is squared.", lambda b, a, v: right(b, a, v) / b),
        ("α_t = 1-β_t is missing below.", lambda b, a, v: right(b, a, v) * (1 - b)),
        ("1-ᾱ_t is missing below.", lambda b, a, v: right(b, a, v) * (1 - a)),
        ("α_t = 1-β_t and 1-ᾱ_t are missing below.", lambda b, a, v: right(b, a, v) * (1 - b) * (1 - a)),
        ("p_var is missing below.", lambda b, a, v: right(b, a, v) * v),
        ("you divided by ᾱ_t; it is 1-ᾱ_t, the variance of the noise in x_t.",
         lambda b, a, v: right(b, a, v) * (1 - a) / a),
        ("α_t below has no bar: it is 1-β_t, the factor of one step, and not ᾱ_t, that of t steps.",
         lambda b, a, v: right(b, a, v) * (1 - b) / a),
        ("you divided by β_t where α_t = 1-β_t is due.", lambda b, a, v: right(b, a, v) * (1 - b) / b),
        ("1-ᾱ_t below has a bar: it is the noise of t steps, and not 1-α_t, that of one, nor α_t.",
         lambda b, a, v: right(b, a, v) * (1 - a) / (1 - b)),
        ("1-ᾱ_t below has a bar: it is the noise of t steps, and not 1-α_t, that of one, nor α_t.",
         lambda b, a, v: right(b, a, v) * (1 - a) / b),
        ("you multiplied by α_t = 1-β_t. It stands below, in equation (7).",
         lambda b, a, v: right(b, a, v) * (1 - b) ** 2),
        ("you multiplied by 1-ᾱ_t. It stands below, in equation (7).", lambda b, a, v: right(b, a, v) * (1 - a) ** 2),
        ("you squared p_var, which is a variance already: it is the σ_t² of equation (7).",
         lambda b, a, v: right(b, a, v) / v),
        ("no roots: the factor of ε in the mean has √(1-ᾱ_t), and it is squared.",
         lambda b, a, v: right(b, a, v) * (1 - a).sqrt()),
        ("no roots: the factor of ε in the mean has 1/√α_t, and it is squared.",
         lambda b, a, v: right(b, a, v) * (1 - b).sqrt()),
        ("no roots: the factor of ε in the mean has √α_t and √(1-ᾱ_t), and both are squared.",
         lambda b, a, v: right(b, a, v) * ((1 - b) * (1 - a)).sqrt()),
        ("no roots: p_var stands below as it is.", lambda b, a, v: right(b, a, v) * v.sqrt()),
        ("that is the root of the weight: the factor of ε in the mean is squared.",
         lambda b, a, v: right(b, a, v).sqrt()),
        ("that is one over the weight: β² stands above, the rest below.", lambda b, a, v: 1 / right(b, a, v)),
        (brackets, lambda b, a, v: b**2 / 2 * v * (1 - b) * (1 - a)),
        (brackets, lambda b, a, v: b**2 / (2 * v) * (1 - b) * (1 - a)),
        ("each t has a weight of its own: do not add them up.", lambda *case: right(*case).sum()),
        ("each t has a weight of its own: do not average them.", lambda *case: right(*case).mean()),
    ]
    diagnosed(attempt, right, causes, "Compare with equation (7): β² above; 2, σ_t² (p_var), 1-β and 1-ᾱ below.",
              [(tensor(0.01, 0.2), tensor(0.9, 0.3), tensor(0.008, 0.15)),
               (tensor(0.05, 0.3, 0.6), tensor(0.75, 0.4, 0.12), tensor(0.03, 0.5, 1.3))])
    return "This is the weight that L_simple replaces by 1."


def areas(k, mean, std, half=1 / 255, first=True, last=True, scaled=lambda k: k / 127.5 - 1):
    """The area of N(mean, std²) over `half` to each side of pixels k, the bins of 0 and 255 open or not."""
    below, above = (torch.special.ndtr((scaled(k.double()) + side - mean) / std) for side in (-half, half))
    above = torch.where(k == 255, 1.0, above) if last else above
    return above - (torch.where(k == 0, 0.0, below) if first else below)


def density(k, mean, std):
    return (-0.5 * ((k.double() / 127.5 - 1 - mean) / std) ** 2).exp() / (std * math.sqrt(2 * math.pi))


@answers
def check_pixel_prob(attempt):
    def right(k, mean, std):
        return areas(k, mean, std)

    def ends_by_place(k, mean, std):
        edge = (k.double() / 127.5 - 1 - mean) / std, 1 / 255 / std
        below, above = torch.special.ndtr(edge[0] - edge[1]), torch.special.ndtr(edge[0] + edge[1])
        below[0], above[-1] = 0.0, 1.0
        return above - below

    causes = [
        ("that is the density at the pixel. A probability is an area: a difference of Φ at the bin's edges.", density),
        ("density times width is no bin's area if the Gaussian is narrow: take Φ at the edges.",
         lambda k, m, s: density(k, m, s) * 2 / 255),
        ("the bins of 0 and 255 are open to the outside, and yours are closed. All else is right.",
         lambda k, m, s: areas(k, m, s, first=False, last=False)),
        ("the bin of 0 is right, but that of 255 is open to the outside, too.",
         lambda k, m, s: areas(k, m, s, last=False)),
        ("the bin of 255 is right, but that of 0 is open to the outside, too.",
         lambda k, m, s: areas(k, m, s, first=False)),
        ("you opened the first and the last entry of k, whatever pixels these are. The bins of 0 and 255 are the "
         "open ones: ask for k == 0 and k == 255.", ends_by_place),
        ("that is the logarithm of the probability.", lambda k, m, s: right(k, m, s).log()),
        ("that is Φ at the upper edge, all that is below. Subtract Φ at the lower one.",
         lambda k, m, s: torch.special.ndtr((k.double() / 127.5 - 1 + 1 / 255 - m) / s)),
        ("that is Φ at the pixel. A bin's area is a difference of Φ at its two edges.",
         lambda k, m, s: torch.special.ndtr((k.double() / 127.5 - 1 - m) / s)),
    ]
    for opened in (True, False):
        for cause, numbers in (
            ("the bins overlap. A bin reaches 1/255 to each side.", {"half": 2 / 255}),
            ("the bins leave gaps. A bin reaches 1/255 to each side.", {"half": 0.5 / 255}),
            ("pixel k is not at k/128 - 1 but at k/127.5 - 1, so that 255 lies at 1.",
             {"scaled": lambda k: k / 128 - 1}),
            ("pixel k is not at k/128 - 1 but at k/127.5 - 1, so that 255 lies at 1.",
             {"scaled": lambda k: k / 128 - 1, "half": 1 / 256}),
            ("pixel k is not at k/255 but at k/127.5 - 1: pixels are scaled to [-1, 1].",
             {"scaled": lambda k: k / 255, "half": 0.5 / 255}),
            ("pixel k is not at k/255 but at k/127.5 - 1: pixels are scaled to [-1, 1].",
             {"scaled": lambda k: k / 255}),
            ("the pixels are not scaled: pixel k is at k/127.5 - 1.", {"scaled": lambda k: k, "half": 0.5}),
            ("the pixels are not scaled: pixel k is at k/127.5 - 1.", {"scaled": lambda k: k}),
        ):
            causes.append((cause, lambda k, m, s, opened=opened, numbers=numbers:
                           areas(k, m, s, first=opened, last=opened, **numbers)))
        causes += [
            ("your probabilities are negative: take Φ at the upper edge minus Φ at the lower one.",
             lambda k, m, s, opened=opened: -areas(k, m, s, first=opened, last=opened)),
            ("std is no variance, and you squared it: Φ takes distances in deviations.",
             lambda k, m, s, opened=opened: areas(k, m, s**2, first=opened, last=opened)),
            ("std is no variance, and you took its root: Φ takes distances in deviations.",
             lambda k, m, s, opened=opened: areas(k, m, s**0.5, first=opened, last=opened)),
            ("you did not divide by std: Φ takes distances in deviations.",
             lambda k, m, s, opened=opened: areas(k, m, 1.0, first=opened, last=opened)),
            ("erf is not Φ: Φ(z) = (1 + erf(z/√2))/2, and you left out the √2.",
             lambda k, m, s, opened=opened: areas(k, m, s / 2**0.5, first=opened, last=opened)),
        ]
    some = torch.tensor([3, 0, 9, 1, 255, 20, 200])  # neither all pixels nor in their order
    diagnosed(attempt, right, causes,
              "Take Φ at the upper edge of the bin of x = k/127.5 - 1 minus Φ at the lower one; the bins of 0 and 255 "
              "are open to the outside.", [(torch.arange(256), 0.41, 0.3), (some, -0.97, 0.03)],
              tolerance=1e-4)  # whole numbers divided are float32, and an area is a small difference
    return "256 probabilities that add up to 1."
