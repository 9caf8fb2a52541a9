"""The checks of the exercises of lessons/05_denoiser."""

import torch

from diffusion_lab.exercises.feedback import Wrong, answers, close, diagnosed, require_letters, tensor_like
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.parameterization import v_from_x_0
from diffusion_lab.theory.schedule import cosine

X = torch.tensor([0.5, -0.5, 0.2, -0.8, 0.1], dtype=torch.float64)
Y = torch.tensor([1.2, -0.3, 0.9, -2.0, 0.4], dtype=torch.float64)


def counts(rate, K):
    """The Poisson law of the counts 0…K-1 for one rate, float64 (K,)."""
    k = torch.arange(K, dtype=torch.float64)
    return torch.exp(k * torch.log(torch.tensor(rate, dtype=torch.float64)) - rate - torch.lgamma(k + 1))


@answers
def check_expected_rate(attempt):
    def right(p):
        return k_of(p, 1) * p[1:] / p[:-1]

    def k_of(p, first):
        return torch.arange(first, first + len(p) - 1, dtype=torch.float64)

    causes = [
        ("the ratio p(k+1)/p(k) is right, but its factor is missing: k! and (k+1)! do not cancel.",
         lambda p: p[1:] / p[:-1]),
        ("the factor is k+1, not k: λ p(k|λ) = (k+1) p(k+1|λ).", lambda p: k_of(p, 0) * p[1:] / p[:-1]),
        ("the ratio is upside down: many counts of k+1 tell of bright lamps.", lambda p: k_of(p, 1) * p[:-1] / p[1:]),
        ("you divided by k+1; it belongs above.", lambda p: p[1:] / p[:-1] / k_of(p, 1)),
        ("that is the count itself, as if all lamps were equally likely. Bayes' rule asks for the law of the lamps; p "
         "holds what you need of it.", lambda p: k_of(p, 0)),
        ("that is the count plus one: right only for a flat law of the lamps. Use p.", lambda p: k_of(p, 1)),
        ("you did not divide by p(k): given that k was counted.", lambda p: k_of(p, 1) * p[1:]),
        ("that is the mean of all counts, whatever k is.",
         lambda p: (torch.arange(len(p), dtype=torch.float64) * p).sum().expand(len(p) - 1)),
        ("you divided the probabilities of k+1 by their sum; divide each by p(k).",
         lambda p: k_of(p, 1) * p[1:] / p[1:].sum()),
        ("that is the count plus the slope of log p, as for a Gaussian. A Poisson gives a ratio in its place.",
         lambda p: k_of(p, 0) + p[1:].log() - p[:-1].log()),
        ("that is the count plus a slope of p over p, as for a Gaussian. A Poisson gives a ratio in its place.",
         lambda p: k_of(p, 0) + (p[1:] - p[:-1]) / p[:-1]),
        ("you took a logarithm, as for the Gaussian's score. A Poisson gives a ratio.",
         lambda p: k_of(p, 1) * (p[1:].log() - p[:-1].log())),
    ]
    two = 0.3 * counts(1.5, 7) + 0.7 * counts(4.0, 7)
    three = 0.5 * counts(0.4, 5) + 0.2 * counts(2.2, 5) + 0.3 * counts(6.0, 5)
    diagnosed(attempt, right, causes, "Write λ p(k|λ) with p(k+1|λ), and average over the lamps. Then divide by p(k).",
              [(two,), (three,)])
    return "The law of what is seen gives the average of what is not seen: Tweedie's formula for counts."


@answers
def check_target_weight(attempt):
    def snr(alpha_bar_t):
        return alpha_bar_t / (1 - alpha_bar_t)

    def right(a, b, alpha_bar_t):
        return (a - b * snr(alpha_bar_t) ** 0.5) ** 2

    causes = [
        ("that is the factor of e. The loss squares it.", lambda a, b, c: a - b * snr(c) ** 0.5),
        ("that is the factor of e, without its sign. The loss squares it.",
         lambda a, b, c: (a - b * snr(c) ** 0.5).abs()),
        ("you squared twice.", lambda a, b, c: right(a, b, c) ** 2),
        ("a sign. If x_0 is too large, ε must be too small, since x_t is given.",
         lambda a, b, c: (a + b * snr(c) ** 0.5) ** 2),
        ("you added the squares, as if the errors of x_0 and ε had nothing to do with each other. Both are e, times a "
         "factor: add first, and square then.", lambda a, b, c: a**2 + b**2 * snr(c)),
        ("ε changes by -√SNR e, and you let it change by the SNR itself.", lambda a, b, c: (a - b * snr(c)) ** 2),
        ("the ratio is upside down: ε changes by -√SNR e, and the SNR is ᾱ_t/(1-ᾱ_t).",
         lambda a, b, c: (a - b * snr(1 - c) ** 0.5) ** 2),
        ("ε changes by -√ᾱ_t e, divided by √(1-ᾱ_t): solve (1) for it.", lambda a, b, c: (a - b * c**0.5) ** 2),
        ("you let ε change by -e: solve (1) for ε, and see what stands before x_0.", lambda a, b, c: (a - b) ** 2),
        ("you let ε change by e: solve (1) for ε, and see what stands before x_0.", lambda a, b, c: (a + b) ** 2),
        ("you held ε fixed. But x_t is given: if x_0 is off, ε is off, too.", lambda a, b, c: a**2),
        ("you forgot the error of x_0 itself.", lambda a, b, c: b**2 * snr(c)),
        ("a and b have changed places.", lambda a, b, c: (b - a * snr(c) ** 0.5) ** 2),
        ("that is the weight on the error of ε. Asked is that on the error of x_0.",
         lambda a, b, c: right(a, b, c) / snr(c)),
        ("e is the error of x_0, not of √ᾱ_t x_0: one factor √ᾱ_t is too much.",
         lambda a, b, c: (a * c**0.5 - b * snr(c) ** 0.5) ** 2),
        ("that is the weight for v, whatever a and b are.", lambda a, b, c: snr(c) + 1 + 0 * a),
    ]

    def of(*numbers):
        return tuple(torch.tensor(row, dtype=torch.float64) for row in numbers)

    diagnosed(attempt, right, causes, "Put x_0 + e for x_0 at a given x_t. By how much do ε and the sum change?",
              [of([1.0, 0.3, -0.7], [-1.0, 0.8, 0.5], [0.9, 0.35, 0.1]), of([0.4, 1.5], [1.2, 0.6], [0.2, 0.75])])
    return "One formula for every target. Only predicting x_t itself costs nothing, and teaches nothing."


@answers
def check_best_width(attempt):
    def score(points, x, width):
        n = len(points)
        mixture = GaussianMixture(torch.full((n,), 1 / n), points, torch.full((n,), float(width)))
        return mixture.log_prob(x)

    def best(points, x, widths, var=lambda h: h**2, sign=1, mean=torch.mean):
        return max(widths, key=lambda h: sign * float(mean(score(points, x, var(h)))))

    def right(points, held_out, widths):
        return best(points, held_out, widths)

    causes = [
        ("that is the first of the widths in every case: is `max` told by what to compare (`key=`)?",
         lambda p, x, w: w[0]),
        ("that is the smallest of the widths in every case. So the training points would choose, whatever they are: do "
         "you judge by `held_out`?", lambda p, x, w: min(w)),
        ("that is the largest of the widths in every case: do you compare the widths, or their log-densities?",
         lambda p, x, w: max(w)),
        ("the mixture takes variances: h², not h.", lambda p, x, w: best(p, x, w, lambda h: h)),
        ("the mixture takes variances: h², not √h.", lambda p, x, w: best(p, x, w, lambda h: h**0.5)),
        ("that is the worst width: a large log-density is good.", lambda p, x, w: best(p, x, w, sign=-1)),
        ("that is the place of the width in the list, or its variance; asked is the width itself.",
         lambda p, x, w: float(w.index(best(p, x, w)))),
        ("that is a variance; asked is the width, a standard deviation.", lambda p, x, w: best(p, x, w) ** 2),
        ("you put Gaussians on the held-out points and judged by the training points: the other way round.",
         lambda p, x, w: best(x, p, w)),
        ("you averaged densities, and not their logarithms.",
         lambda p, x, w: best(p, x, w, mean=lambda log_p: log_p.exp().mean())),
        ("that is the log-density of the best width; asked is the width.",
         lambda p, x, w: score(p, x, best(p, x, w) ** 2).mean().item()),
    ]
    generator = torch.Generator().manual_seed(31)
    ring = GaussianMixture([0.3, 0.3, 0.4], [[1.3, 0.0], [-0.7, 1.1], [-0.6, -1.2]], [0.03, 0.03, 0.03])
    broad = GaussianMixture([0.6, 0.4], [[3.0, 0.0], [-3.0, 1.0]], [0.5, 0.5])
    line = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [0.02, 0.02])
    space = GaussianMixture([0.7, 0.3], [[1.0, 0.0, 2.0], [-1.0, 1.0, 0.0]], [0.2, 0.2])
    diagnosed(lambda *case: a_float(attempt(*case)), right, causes,
              "For each width: a mixture, one component for each point, and its `log_prob`.",
              [(ring.sample(60, generator), ring.sample(25, generator), [0.03, 0.01, 0.06, 0.12, 0.2, 0.35, 0.6, 1.0]),
               (broad.sample(15, generator), broad.sample(200, generator), [900.0, 0.35, 0.55, 0.8, 1.3, 2.5]),
               (6 * broad.sample(20, generator), 6 * broad.sample(100, generator),
                [2.0, 1.0, 4.0, 8.0, 16.0, 64.0, 256.0]),
               (line.sample(40, generator), line.sample(80, generator), [0.3, 0.02, 0.05, 0.12, 0.7]),
               (space.sample(50, generator), space.sample(80, generator), [0.1, 0.25, 0.45, 0.9, 2.0])])
    return "Copies are too narrow, a broad blur loses the clouds. Only points that were held out tell where between."


def a_float(given):
    """One real number of any floating type as a Python float, whatever else as it is."""
    single = getattr(given, "shape", None) == ()
    return float(given) if single and str(given.dtype).removeprefix("torch.").startswith("float") else given


@answers
def check_from_memory(attempt):
    def weighted(exponent, dim=1):
        """The mean with weights softmax(exponent), a function of squared distances and 1-ᾱ_t."""
        return lambda p, x, a: torch.softmax(exponent(squared(p, x, a), 1 - a), dim=dim) @ p

    def squared(points, x_t, alpha_bar_t):
        return torch.cdist(x_t, alpha_bar_t**0.5 * points) ** 2

    def weights(points, x_t, alpha_bar_t):
        return torch.softmax(-squared(points, x_t, alpha_bar_t) / (2 * (1 - alpha_bar_t)), dim=1)

    def right(points, x_t, alpha_bar_t):
        return weights(points, x_t, alpha_bar_t) @ points

    def densities(points, x_t, alpha_bar_t):
        return torch.exp(-squared(points, x_t, alpha_bar_t) / (2 * (1 - alpha_bar_t)))

    causes = [
        ("that is still the faulty function: both faults are in it.",
         lambda p, x, a: torch.softmax(-(torch.cdist(x, p) ** 2) / (2 * (1 - a)), dim=0) @ p),
        ("those are the weights of the training points. Average the points with them: `weights @ points`.", weights),
        ("your weights do not add up to 1: divide them by their sum, or take `torch.softmax` of the exponents.",
         lambda p, x, a: densities(p, x, a) @ p),
        ("that is the mean of all training points, wherever x_t lies: near ones must weigh more.",
         lambda p, x, a: p.mean(dim=0).expand(len(x), -1)),
        ("those are the logarithms of the weights (log_softmax); average with the weights themselves.",
         lambda p, x, a: weights(p, x, a).log() @ p),
        ("at time t the training points have shrunk: compare x_t with √ᾱ_t times each point.",
         lambda p, x, a: torch.softmax(-(torch.cdist(x, p) ** 2) / (2 * (1 - a)), dim=1) @ p),
        ("the training points have shrunk by √ᾱ_t, not by ᾱ_t.",
         lambda p, x, a: torch.softmax(-(torch.cdist(x, a * p) ** 2) / (2 * (1 - a)), dim=1) @ p),
        ("you divided x_t by √ᾱ_t instead of shrinking the points; then the variance grows, too, to (1-ᾱ_t)/ᾱ_t.",
         lambda p, x, a: torch.softmax(-(torch.cdist(x / a**0.5, p) ** 2) / (2 * (1 - a)), dim=1) @ p),
        ("the weights are right; but you averaged the shrunk points, and the mean is that of x_0.",
         lambda p, x, a: a**0.5 * right(p, x, a)),
        ("the far points get the large weights: the exponent needs a minus.", weighted(lambda d, var: d / (2 * var))),
        ("the 2 in the exponent of the Gaussian density is missing.", weighted(lambda d, var: -d / var)),
        ("that is -2 ‖…‖² / (1-ᾱ_t): the 2 belongs below, with the variance.", weighted(lambda d, var: -2 * d / var)),
        ("that is -‖…‖² / 2 · (1-ᾱ_t): the variance belongs below; write brackets round what you divide by.",
         weighted(lambda d, var: -d / 2 * var)),
        ("you divided by the standard deviation; the exponent has the variance, 1-ᾱ_t.",
         weighted(lambda d, var: -d / (2 * var**0.5))),
        ("you squared 1-ᾱ_t; it is the variance already.", weighted(lambda d, var: -d / (2 * var**2))),
        ("you divided by 2 ᾱ_t; the variance of the noise is 1-ᾱ_t.", weighted(lambda d, var: -d / (2 * (1 - var)))),
        ("square the distance: you used its root.", weighted(lambda d, var: -d.sqrt() / (2 * var))),
        ("your weights add up to 1 over the noisy points. They must do so over the training points: dim=1.",
         weighted(lambda d, var: -d / (2 * var), dim=0)),
        ("that is the nearest training point. The mean weighs all of them, near ones more.",
         lambda p, x, a: p[squared(p, x, a).argmin(dim=1)]),
    ]
    points, plane = torch.stack([Y, X.flip(0)], dim=1), torch.stack([X, Y], dim=1)[:4]
    space = torch.tensor([[0.9, -0.4, 0.3], [-0.6, 0.8, -1.2], [0.2, 1.1, 0.7], [-0.3, -0.9, 0.5]], dtype=torch.float64)
    diagnosed(attempt, right, causes,
              "Weigh each training point by softmax(-‖x_t - √ᾱ_t x_i‖² / (2 (1-ᾱ_t))), then average the points.",
              [(points, plane, 0.62), (space, space.flip(0)[:2] + 0.4, 0.3)])

    def by_division(largest=lambda exponent: 0.0, of=lambda tensor: tensor):
        """With weights that are densities divided by their sum, after `largest` was subtracted from the exponents."""

        def answer(p, x, a):
            exponent = -squared(p, x, a) / (2 * (1 - a))
            density = torch.exp(exponent - largest(exponent))
            return of(density / density.sum(dim=1, keepdim=True)) @ p

        return answer

    near, far = 0.9999**0.5 * points[1:2], torch.tensor([[2.5, 3.0]], dtype=torch.float64)
    zero = "right for points near x_t. But where all points are far, every density is so small that it is rounded to 0"
    together = "you subtracted one largest exponent for all x_t together. Each x_t, a row, has its own: `dim=1`."
    far_off = [
        (f"{zero}, and 0/0 is not a number. Take `torch.softmax` of the exponents, which subtracts the largest first.",
         by_division()),
        (f"{zero}, and so are your weights, which should add up to 1. Take `torch.softmax` of the exponents, which "
         "subtracts the largest first.", by_division(of=torch.nan_to_num)),
        (together, by_division(largest=torch.max)),
        (f"{together} (In one far from all points your weights are all 0, and should add up to 1.)",
         by_division(largest=torch.max, of=torch.nan_to_num)),
    ]
    diagnosed(attempt, right, far_off, "Right for points near x_t, but not at small t for an x_t far from all of them. "
              "Take `torch.softmax` of the exponents.",
              [(points, far, 0.9999), (points, torch.cat([near, far]), 0.9999),
               (points, torch.cat([far, near]), 0.999)])
    return "This function, fed into `ddpm`, returns training points and nothing else."


@answers
def check_training_example(attempt):
    schedule, generator = cosine(10), torch.Generator().manual_seed(2718)  # none that a reader would set
    x_0 = torch.randn(5000, 2, generator=generator, dtype=torch.float64) + 0.5
    state = generator.get_state()
    x_t, t, v = in_order(attempt(x_0, schedule, generator), x_0)
    require_times(t, schedule.T)
    if close(x_t, v_from_x_0(v, x_0, t, schedule)):
        raise Wrong("x_t and v are in each other's place: the order is x_t, t, v.")
    signal, noise = schedule.alpha_bar[t, None].sqrt(), (1 - schedule.alpha_bar[t, None]).sqrt()
    require_noise((x_t - signal * x_0) / noise, x_0, x_t, t, schedule)
    eps = (x_t - signal * x_0) / noise
    require_v(v, x_t, x_0, eps, signal, noise)
    new_x_t, new_t, _ = in_order(attempt(x_0, schedule, generator), x_0)
    if close(new_t, t) or close((new_x_t - schedule.alpha_bar[new_t, None].sqrt() * x_0)
                                / (1 - schedule.alpha_bar[new_t, None]).sqrt(), eps):
        raise Wrong("a second batch has the same times or noise as the first: draw both afresh, and set no seed.")
    require_by_itself([in_order(attempt(x_0, schedule, generator), x_0)[1] for _ in range(20)], schedule.T)
    require_no_repetition(t, eps)
    again = in_order(attempt(x_0, schedule, generator.set_state(state)), x_0)
    if not all(close(new, old) for new, old in zip(again, (x_t, t, v))):
        raise Wrong("the same seed gave another batch: draw the times and the noise with `generator=generator`.")
    return "Every time from 1 to T, normal noise, and a v that fits: a network can learn from these."


def in_order(given, x_0):
    """Return x_t, t, v as tensors; raise Wrong unless these are three, in this order, fit for x_0."""
    if not isinstance(given, (tuple, list)) or len(given) != 3:
        raise Wrong("return three things: `return x_t, t, v`.")
    shapes = [tuple(part.shape) if hasattr(part, "shape") else None for part in given]
    if shapes[1] == x_0.shape and (len(x_0),) in shapes:
        raise Wrong("the order is x_t, t, v, but the times are the {place}.",
                    place="first" if len(shapes[0]) == 1 else "last")
    given = [tensor_like(part, like) for part, like in zip(given, (x_0, torch.zeros(len(x_0), dtype=torch.int64), x_0))]
    for name, tensor in (("x_t", given[0]), ("v", given[2])):
        if tensor.dtype != x_0.dtype:
            raise Wrong("{name} should be {expected}, as x_0 is, but yours is {given}.", name=name,
                        expected=str(x_0.dtype).removeprefix("torch."), given=str(tensor.dtype).removeprefix("torch."))
    return given


def require_times(t, T):
    """Raise Wrong unless t are 5000 whole numbers that look uniform on 1…T."""
    if t.dtype != torch.int64:
        raise Wrong("t must be whole numbers (int64), not {kind}: `torch.randint` draws them.", kind=t.dtype)
    if len(t.unique()) == 1:
        raise Wrong("all examples have the same t: draw one for each, shape (n,).")
    upper = "" if t.max() != T - 1 else "t = T never occurs; note that `randint` leaves its upper end out"
    if t.min() == 0:
        more = f" Also, {upper}." if upper else ""
        raise Wrong("t = 0 occurs, and there is nothing to denoise at time 0: times go from 1 to T.{more}", more=more)
    if upper:
        raise Wrong("{upper}. So the end of the chain, where sampling starts, is never trained.", upper=upper)
    if t.max() > T or t.min() < 1:
        raise Wrong("t must lie within 1…{T}, but yours reaches from {least} to {most}.",
                    T=T, least=t.min().item(), most=t.max().item())
    counts = torch.bincount(t, minlength=T + 1)[1:]
    if float((counts - len(t) / T).abs().max()) > 5 * (len(t) / T) ** 0.5:
        raise Wrong("the times are not equally frequent: of {n} examples, {most} have the most frequent time and "
                    "{least} the rarest. Draw them for each example alone, uniformly from 1 to T.",
                    n=len(t), most=int(counts.max()), least=int(counts.min()))


def require_by_itself(batches, T):
    """Raise Wrong where an example gets much the same time in 20 batches."""
    mean, due = torch.stack(batches).double().mean(dim=0), (T + 1) / 2
    far = (mean - due).abs()
    if float(far.max()) > 6 * ((T**2 - 1) / 12 / len(batches)) ** 0.5:  # six standard errors
        i = int(far.argmax())
        raise Wrong("example {i} has times near {mean:.1f} in every batch, where all from 1 to {T} are due: the times "
                    "depend on where an example stands. Were they sorted?", i=i, mean=mean[i], T=T)


def require_no_repetition(t, eps):
    """Raise Wrong where the times repeat after some number of examples, or a number of the noise occurs twice."""
    for after in range(1, len(t) // 2 + 1):
        if bool((t[after:] == t[:-after]).all()):
            raise Wrong("the times repeat after {after} examples, as if a smaller batch had been copied: draw n of "
                        "them, one for each example.", after=after)
    values, order = eps.flatten().sort()
    same = (values[1:] - values[:-1] < 1e-12).nonzero()
    if len(same):
        i, j = sorted((order[same[0]] // eps.shape[1]).item() for order in (order[:-1], order[1:]))
        raise Wrong("example {i} and example {j} share a number of their noise, as if a smaller batch had been copied: "
                    "draw as many numbers as x_0 has.", i=i, j=j)


def require_noise(eps, x_0, x_t, t, schedule):
    """Raise Wrong unless what x_t has beyond √ᾱ_t x_0, divided by √(1-ᾱ_t), looks standard normal."""
    beta_t, alpha_bar_t = schedule.beta[t, None], schedule.alpha_bar[t, None]
    tolerance = 5 / len(eps) ** 0.5

    def of_variance_1(noise):
        return all(0.7 < float(noise[t == time].var()) < 1.3 for time in range(1, schedule.T + 1))

    if float(eps.abs().max()) < 1e-6:
        raise Wrong("there is no noise in x_t: it is √ᾱ_t x_0 alone.")
    if of_variance_1((x_t - (1 - beta_t).sqrt() * x_0) / beta_t.sqrt()):
        raise Wrong("that is one step, from t-1 to t, made with β_t. From the data to t it takes ᾱ_t: `q_sample`.")
    if of_variance_1((x_t - alpha_bar_t.sqrt() * x_0) / (1 - alpha_bar_t)):
        raise Wrong("1-ᾱ_t is a variance, and you used it as a standard deviation: the factor of eps is √(1-ᾱ_t).")
    if float(((eps - eps.mean(0)) * (x_0 - x_0.mean(0))).mean().abs()) > tolerance:
        raise Wrong("what x_t has beyond √ᾱ_t x_0 should be noise, but it depends on x_0: the factor of x_0 is not "
                    "√ᾱ_t, or the noise is not drawn by itself.")
    spread, (first, second) = eps.std(dim=0), (eps - eps.mean(dim=0)).T
    if float(spread.max()) < 1e-6:
        raise Wrong("all examples have the same noise. Where a shape is missing, it broadcasts in silence: the shape "
                    "of the noise must be that of x_0.")
    if float(((first * second).mean() / spread.prod()).abs()) > tolerance:
        if close(eps[:, 0], eps[:, 1]):
            raise Wrong("both coordinates get the same number. Noise of shape (n, 1) broadcasts in silence: its shape "
                        "must be that of x_0.")
        raise Wrong("the noise of one coordinate tells that of the other: draw each number afresh, in the shape of "
                    "x_0.")
    if float(eps.min()) >= -1e-9:
        hint = ", as `rand_like` draws it," if float(eps.max()) <= 1 + 1e-9 else ""
        raise Wrong("your noise{hint} is never negative: it goes from {least:.2f} to {most:.2f}. Normal noise, from "
                    "`randn`, has both signs alike.", hint=hint, least=eps.min(), most=eps.max())
    if float(eps.mean().abs()) > tolerance or float((eps.var() - 1).abs()) > 2 * tolerance:
        raise Wrong("your noise has mean {mean:.2f} and variance {var:.2f}, where 0 and 1 are right. (Noise is what "
                    "x_t has beyond √ᾱ_t x_0, divided by √(1-ᾱ_t).)", mean=eps.mean(), var=eps.var())
    if float(eps.abs().max()) < 2.5:
        raise Wrong("among 10,000 draws none is beyond {most:.1f}: that is not the normal distribution.",
                    most=eps.abs().max())
    if float(abs((eps**4).mean() - 3)) > 0.5:  # five standard errors
        raise Wrong("the fourth powers of your noise have the mean {mean:.2f}; with the normal distribution it is 3. "
                    "(Noise is what x_t has beyond √ᾱ_t x_0, divided by √(1-ᾱ_t).)", mean=(eps**4).mean())
    if float((eps - eps.float()).abs().max()) < 1e-12:
        raise Wrong("your noise has the digits of float32 only, and the data are {kind}: add `dtype=x_0.dtype`.",
                    kind=x_0.dtype)


def require_v(v, x_t, x_0, eps, signal, noise):
    """Raise Wrong unless v is √ᾱ_t ε - √(1-ᾱ_t) x_0, with the ε that is in x_t."""
    for wrong, cause in (
        (eps, "x_t and t are right, but the third is ε; the loss of this lesson is on v."),
        (x_0, "x_t and t are right, but the third is x_0; the loss of this lesson is on v."),
        (noise * x_0 - signal * eps, "v has the wrong sign: it is √ᾱ_t ε - √(1-ᾱ_t) x_0."),
        (signal * eps + noise * x_0, "in v the term with x_0 is subtracted: √ᾱ_t ε - √(1-ᾱ_t) x_0."),
        (signal * x_0 - noise * eps, "in v, ε and x_0 have changed places: it is √ᾱ_t ε - √(1-ᾱ_t) x_0."),
        (noise * eps - signal * x_0, "in v the two factors are swapped: √ᾱ_t belongs to ε, √(1-ᾱ_t) to x_0."),
        (signal**2 * eps - noise**2 * x_0, "the factors in v are roots: √ᾱ_t and √(1-ᾱ_t)."),
        (signal * eps - noise * x_t, "v is made of ε and x_0, and you took x_t in place of x_0."),
    ):
        if close(v, wrong):
            raise Wrong(cause)
    other = (v + noise * x_0) / signal  # the noise that is in v
    if 0.9 < float(other.var()) < 1.1 and float((other * eps).mean().abs()) < 5 / len(v) ** 0.5:
        raise Wrong("the noise in v is another than that in x_t: draw eps once, and use the same eps for both.")
    expected = signal * eps - noise * x_0
    if not close(v, expected):
        row, column = divmod(int((v - expected).abs().argmax()), v.shape[1])
        raise Wrong("v does not fit x_t: it is √ᾱ_t ε - √(1-ᾱ_t) x_0, with the ε that is in x_t. For x_0 = {x_0:.4f}, "
                    "ε = {eps:.4f} and ᾱ_t = {alpha_bar:.4f} it should be {expected:.4f}, but yours is {given:.4f}.",
                    x_0=x_0[row, column], eps=eps[row, column], alpha_bar=signal[row, 0] ** 2,
                    expected=expected[row, column], given=v[row, column])
    if not close(v, expected, 1e-9):
        raise Wrong("v fits x_t in the first digits only, and the data are {kind}: do all steps stay in it?",
                    kind=v.dtype)


REASONS = {
    "A": "A does not follow: where there is much noise, nobody knows which of the 25 it was. Even (6) pays for that.",
    "B": "B follows: the number 0.72 says nothing before it is compared with the floor of these 25 points.",
    "C": "C follows: which denoiser alone has the lowest loss on a training set?",
    "D": "D does not follow: where the weight is not 0, the best answer is the same for every weight.",
    "E": "E follows, about the gap: whose lines part in Figure 5, and whose do not?",
    "F": "F does not follow: the lowest training loss there is belongs to the memoriser, which only copies.",
}


@answers
def check_what_it_learned(attempt):
    require_letters(attempt(), "BCE", REASONS)
    return "A training set has a floor of its own. Who reaches it remembers; who does as well abroad has learned."
