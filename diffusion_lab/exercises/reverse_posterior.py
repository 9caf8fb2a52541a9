"""The checks of the exercises of lessons/03_reverse_posterior."""

import torch

from diffusion_lab.exercises.feedback import Wrong, answers, close, diagnosed, require_letters, several, shown
from diffusion_lab.sampling.chain import last, pairs, spaced
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine

X_T = torch.tensor([0.5, -0.5, 0.2, -0.8, 0.1], dtype=torch.float64)
X_0 = torch.tensor([1.1, 0.3, -0.7, 0.4, -1.2], dtype=torch.float64)
EPS = torch.tensor([-1.3, 0.4, 2.1, -0.2, 0.9], dtype=torch.float64)
Y_T = torch.tensor([-1.6, 0.9, 0.3], dtype=torch.float64)
Y_0 = torch.tensor([0.2, 1.5, -0.6], dtype=torch.float64)
NOISE = torch.tensor([0.7, -1.4, 1.1], dtype=torch.float64)
# none of ᾱ is 1-ᾱ of another
ALPHA_BAR = torch.tensor([1.0, 0.9, 0.7, 0.45, 0.31, 0.2], dtype=torch.float64)
OTHER = torch.tensor([1.0, 0.97, 0.83, 0.62, 0.27, 0.11, 0.02], dtype=torch.float64)


@answers
def check_table_back(attempt):
    def joint(forward, law):
        return law[:, None] * forward

    def right(forward, law):
        return (joint(forward, law) / joint(forward, law).sum(dim=0)).T

    causes = [
        ("your table is turned over: a row belongs to one end, j, and its entries to the starts, i.",
         lambda forward, law: right(forward, law).T),
        ("that is the forward table turned over. Its rows do not sum to 1, and the law of the start is not in it.",
         lambda forward, law: forward.T),
        ("that is the way forward again: its rows are laws of the *end*. Bayes' rule divides by the law of the end.",
         lambda forward, law: forward),
        ("that is right if all rooms were equally likely at the start. Multiply row i of `forward` by law[i] first.",
         lambda forward, law: (forward / forward.sum(dim=0)).T),
        ("that is the joint law. Given the end j, divide by the probability of ending there.",
         lambda forward, law: joint(forward, law).T),
        ("that is the joint law, with the start in the rows. Given the end j, divide by the probability of "
         "ending there, and turn the table over.", joint),
        ("the inverse matrix brings the law back, too. But it has negative entries, so it is no table of "
         "probabilities, and nobody can draw from it.", lambda forward, law: torch.linalg.inv(forward)),
        ("each of your rows is the law of the start. That brings the law back, too, but forgets where the walk ended: "
         "it is not q(start given end).", lambda forward, law: law.expand(len(law), -1)),
        ("you divided by the law of the start, law[j]; divide by the probability of *ending* in room j.",
         lambda forward, law: joint(forward, law).T / law[:, None]),
    ]
    three = torch.tensor([[0.7, 0.2, 0.1], [0.25, 0.5, 0.25], [0.05, 0.35, 0.6]], dtype=torch.float64)
    two = torch.tensor([[0.9, 0.1], [0.4, 0.6]], dtype=torch.float64)
    four = torch.tensor([[0.4, 0.3, 0.2, 0.1], [0.15, 0.6, 0.05, 0.2], [0.3, 0.1, 0.5, 0.1], [0.05, 0.25, 0.1, 0.6]],
                        dtype=torch.float64)
    diagnosed(attempt, right, causes,
              "Each row must sum to 1, and the law of the end times your table is the law of the start.",
              [(three, torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)),
               (two, torch.tensor([0.15, 0.85], dtype=torch.float64)),
               (four, torch.tensor([0.1, 0.45, 0.25, 0.2], dtype=torch.float64))])
    return "Each row is a law, and the law of the end times your table is the law of the start: the theorem."


@answers
def check_denoised_mean(attempt):
    def right(x_t, alpha_bar_t, m, v):
        y, noise_var = x_t / alpha_bar_t**0.5, (1 - alpha_bar_t) / alpha_bar_t
        return shrink(y, noise_var, m, v)

    def shrink(y, noise_var, m, v):
        gain = v / (v + noise_var)
        return (1 - gain) * m + gain * y

    def shrink_by(noise_var, var=lambda v: v):
        return lambda x, a, m, v: shrink(x / a**0.5, noise_var(a), m, var(v))

    causes = [
        ("x_t/√ᾱ_t is the noisy measurement of x_0. You also know that x_0 is drawn from N(m, v).",
         lambda x, a, m, v: x / a**0.5),
        ("you mixed m with x_t, whose signal is shrunk: divide x_t by √ᾱ_t first.",
         lambda x, a, m, v: shrink(x, (1 - a) / a, m, v)),
        ("you mixed m with x_t, whose signal is shrunk: divide x_t by √ᾱ_t first.",
         lambda x, a, m, v: shrink(x, 1 - a, m, v)),
        ("you divided x_t by ᾱ_t; the signal in it is shrunk by the root, √ᾱ_t.",
         lambda x, a, m, v: shrink(x / a, (1 - a) / a, m, v)),
        ("the gain is right, but the mean m is missing, with its weight 1-g.",
         lambda x, a, m, v: shrink(x / a**0.5, (1 - a) / a, 0.0, v)),
        ("the gain is right, but m enters whole: its weight is 1-g.",
         lambda x, a, m, v: m + shrink(x / a**0.5, (1 - a) / a, 0.0, v)),
        ("the two weights are swapped: with much noise the answer should be near m.",
         lambda x, a, m, v: m + x / a**0.5 - right(x, a, m, v)),
        ("the mean of x_t is √ᾱ_t m; you subtracted m itself from x_t.",
         lambda x, a, m, v: m + a**0.5 * v / (a * v + 1 - a) * (x - m)),
        ("after dividing by √ᾱ_t the noise has the variance (1-ᾱ_t)/ᾱ_t, not 1-ᾱ_t.", shrink_by(lambda a: 1 - a)),
        ("the variance of the noise is upside down: it is 1/SNR = (1-ᾱ_t)/ᾱ_t, large where ᾱ_t is small.",
         shrink_by(lambda a: a / (1 - a))),
        ("the variance of the noise is (1-ᾱ_t)/ᾱ_t: a standard deviation is divided by √ᾱ_t, a variance by ᾱ_t.",
         shrink_by(lambda a: (1 - a) / a**0.5)),
        ("the gain compares variances; you took a root.", shrink_by(lambda a: ((1 - a) / a) ** 0.5)),
        ("the gain compares variances; you took a root.", shrink_by(lambda a: (1 - a) / a, lambda v: v**0.5)),
        ("the gain compares variances, and v is one already: do not square it.",
         shrink_by(lambda a: (1 - a) / a, lambda v: v**2)),
    ]
    diagnosed(attempt, right, causes, "Test it: with v near 0 the answer is near m, with ᾱ_t near 1 near x_t.",
              [(X_T, 0.3, 0.5, 0.8), (Y_T, 0.75, -1.2, 0.35)])
    return "This is equation (8) with one component, and the exact denoiser for Gaussian data."


def one_that_fits(mixture, x_t, t, schedule, spread=1.0, sure=False):
    """One x_0 for each row of x_t, drawn from q(x_0 given x_t); with less spread, or of the likeliest component."""
    y, noise_var = x_t / schedule.alpha_bar[t].sqrt(), 1 / schedule.snr[t]
    log_joint = mixture.log_joint(y, noise_var)
    k = log_joint.argmax(dim=1) if sure else torch.multinomial(torch.softmax(log_joint, dim=1), 1)[:, 0]
    gain = (mixture.var / (mixture.var + noise_var))[k, None]
    return (1 - gain) * mixture.mean[k] + gain * y + spread * (gain * noise_var).sqrt() * torch.randn_like(y)


SAMPLES = 20_000


class Watched(GaussianMixture):
    """A mixture that notes what it is asked, {variance of the noise: points, in batches}, and shows what it is."""

    def __init__(self, weight, mean, var):
        super().__init__(weight, mean, var)
        self.asked = {}

    def log_joint(self, x, noise_var=0.0):
        level = float(f"{float(torch.as_tensor(noise_var).max()):.6g}")
        self.asked.setdefault(level, []).append(x[:, 0].clone())
        return super().log_joint(x, noise_var)

    def __str__(self):
        return f"{self.weight.tolist()} at {self.mean[:, 0].tolist()} with variances {self.var.tolist()}"


def watched_variances(attempt, mixture, n):
    """The reader's result for a copy of the mixture; raises Wrong where the walks were no walks of n steps."""
    torch.manual_seed(0)
    copy = Watched(mixture.weight, mixture.mean, mixture.var)
    given = several(attempt(copy, n), 2)
    if not all(torch.equal(getattr(copy, name), getattr(mixture, name)) for name in ("weight", "mean", "var")):
        raise Wrong("your function changed the tables of the mixture itself (+=, mul_ and the like work in place), and "
                    "whoever called it still needs them: compute something new.")
    walked = {level: copy.asked[level] for level in sorted(copy.asked, reverse=True) if level > 0}
    if walked:  # else the reader has written a denoiser anew, and the numbers must tell
        require_times(list(walked), n)
        require_rows([[len(batch) for batch in batches] for batches in walked.values()])
        level = next(iter(walked))
        require_start(torch.cat(walked[level]) / (1 + level) ** 0.5)
    mean = mixture.weight @ mixture.mean
    exact = float(mixture.weight @ (mixture.var + (mixture.mean[:, 0] - mean) ** 2))
    if any(isinstance(part, float) and abs(part - exact) < 1e-9 * exact for part in given):
        raise Wrong("that is the variance of the data, computed and not measured. Walk, and take the variance of the "
                    "samples.")
    if any(isinstance(part, float) and abs(part) < 1e-12 * exact for part in given):
        raise Wrong("one of your variances is 0, as that of samples that are all one and the same number. Each walk, a "
                    "row of x_t, needs noise and an x_0 of its own.")
    return given


def require_times(levels, n):
    """Raise Wrong unless the walks have asked at the n times of spaced(1000, n), under cosine()."""
    if len(levels) != n:
        raise Wrong("n = {n} steps were asked for, but your walks went through {times} times: spaced(1000, n).",
                    n=n, times=len(levels))
    due = cosine().alpha_bar[spaced(1000, n)]
    given = 1 / (1 + torch.tensor(levels, dtype=torch.float64))
    if not torch.allclose(given, due, rtol=1e-3, atol=0):
        raise Wrong("at the times spaced(1000, {n}) cosine() has ᾱ = {due}, but your walks went through {given}. The "
                    "schedule is cosine(), of a thousand steps, whatever n is.",
                    n=n, due=shown(due), given=shown(given))


def require_rows(batches):
    """Raise Wrong unless two walks of SAMPLES numbers were seen; or one, where the other was answered without us."""
    rows = [sum(sizes) for sizes in batches]
    if min(rows) < SAMPLES or min(rows) < 2 * SAMPLES and max(map(max, batches)) < SAMPLES:
        raise Wrong("two walks of {due} samples each ask the mixture about {both} numbers at each time; yours asked "
                    "about {given}.", due=SAMPLES, both=2 * SAMPLES, given=min(rows))
    if min(rows) < 2 * SAMPLES and rows[0] > 1.5 * rows[-1]:
        raise Wrong("at the first time of your walks the mixture was asked about {first} numbers, at the last about "
                    "{last}. At each time each x_t of both walks needs an answer: draw the x_0 of the second walk anew "
                    "at every step.", first=rows[0], last=rows[-1])


def require_start(x_T):
    """Raise Wrong unless both walks start from standard normal noise, each number by itself; six standard errors."""
    if len(x_T.unique()) < SAMPLES / 2:
        raise Wrong("different numbers that your walks start from: {given}. Each of the {due} samples needs noise of "
                    "its own, as in torch.randn({due}, 1).", given=len(x_T.unique()), due=SAMPLES)
    mean, var, fourth = (float(moment) for moment in (x_T.mean(), x_T.var(), (x_T**4).mean()))
    if abs(mean) > 6 / SAMPLES**0.5 or abs(var - 1) > 6 * (2 / SAMPLES) ** 0.5:
        raise Wrong("your walks start from numbers with mean {mean:.2f} and variance {var:.2f}. They start from noise, "
                    "N(0, 1).", mean=mean, var=var)
    if abs(fourth - 3) > 6 * (96 / SAMPLES) ** 0.5:
        raise Wrong("the numbers that your walks start from have variance 1, but are not normal: their fourth powers "
                    "average {fourth:.2f}, and should 3. Draw them with torch.randn.", fourth=fourth)


@answers
def check_two_variances(attempt):
    schedule = cosine()

    def samples(mixture, n, answer, variance="small"):
        torch.manual_seed(1)
        x_T = torch.randn(SAMPLES, 1, dtype=torch.float64)
        denoiser = Denoiser(lambda x_t, t, label: answer(mixture, x_t, t), schedule)
        return last(ddpm(denoiser, x_T, spaced(1000, n), variance))

    def spread(mixture, n, answer, variance="small"):
        return samples(mixture, n, answer, variance).var().item()

    def average(mixture, x_t, t):
        return mixture.expected_x_0(x_t, t, schedule)

    def draw(mixture, x_t, t):
        return one_that_fits(mixture, x_t, t, schedule)

    def without_spread(mixture, x_t, t):
        return one_that_fits(mixture, x_t, t, schedule, spread=0.0)

    def of_the_likeliest(mixture, x_t, t):
        return one_that_fits(mixture, x_t, t, schedule, sure=True)

    def from_the_data(mixture, x_t, t):
        return mixture.sample(len(x_t))

    def both(first, second, variance="small", power=1.0):
        return lambda mixture, n: (spread(mixture, n, first, variance) ** power,
                                   spread(mixture, n, second, variance) ** power)

    def watched(mixture, n):
        return watched_variances(attempt, mixture, n)

    causes = [
        ("both are the same: the second walk must be answered with one x_0 that fits, not with the average.",
         both(average, average)),
        ("both are the variance of the data, as a draw gives it. The first walk must be answered with the average, "
         "`mixture.denoiser(schedule)`.",
         both(draw, draw)),
        ("the two are swapped: first with the average, then with a draw.", both(draw, average)),
        ("these are standard deviations. Compare variances.", both(average, draw, power=0.5)),
        ("you drew a component, and answered with the average of it. Draw a point of it.",
         both(average, without_spread)),
        ("your second number is the variance of the data, even for data so far out that a walk from N(0, 1) ends in "
         "another law. So its x_0 do not look at x_t: draw one that fits the x_t of the walk, as `one_that_fits` does.",
         both(average, from_the_data)),
        ("you answered with a point of the likeliest component. Draw the component, too.",
         both(average, of_the_likeliest)),
        ("you walked with the variance \"large\". With x_0 in hand, the step's own variance is β tilde, \"small\".",
         both(average, draw, "large")),
        ("these are the averages of the squares. A variance is about the mean: subtract it first, as .var() does.",
         lambda mixture, n: tuple(samples(mixture, n, answer).square().mean().item() for answer in (average, draw))),
    ]
    one = Watched([0.5, 0.5], [[-1.0], [1.0]], [0.02, 0.02])
    other = Watched([0.3, 0.7], [[-0.5], [1.5]], [0.1, 0.3])
    far = Watched([0.2, 0.8], [[-4e4], [4e4]], [3e7, 3e7])  # some of it shows in x_T: here the answer must look at x_t
    diagnosed(watched, both(average, draw), causes,
              "First the variance of the samples if `mixture.denoiser(schedule)` answers, then if a draw does.",
              [(one, 2), (other, 5), (other, 2), (far, 2)], tolerance=0.05)
    return ("With the average, long steps make the samples too narrow. With a draw the variance is the data's after "
            "any number of steps: a draw of x_0, then of x_s, is one from q(x_s given x_t). The theorem does the rest.")


class Answer:
    """A denoiser for tests, x_0_hat = a x_t + b t, that shows in a sentence what it is."""

    def __init__(self, a, b):
        self.a, self.b = a, b

    def __call__(self, x_t, t):
        return self.a * x_t + self.b * t

    def __str__(self):
        return f"({self.a} x_t + {self.b} t)"


def one_step(x_t, x_0_hat, t, s, eps, std=lambda t, s: ((1 - s) / (1 - t) * (1 - t / s)) ** 0.5, alpha=None):
    """Equation (9) for x_s. t, s: ᾱ at these times. std: the factor of eps. alpha: ᾱ_t/ᾱ_s if None."""
    alpha = t / s if alpha is None else alpha
    return (s**0.5 * (1 - alpha) * x_0_hat + alpha**0.5 * (1 - s) * x_t) / (1 - t) + std(t, s) * eps


def walked(next_state=None, denoised_at=lambda t, s: t, to_0=True, state=lambda x_T, x_t: x_t):
    """A sampler as in exercise 4, with one thing otherwise."""
    def sampler(denoise, x_T, times, alpha_bar, noise):
        x_t, steps = x_T, pairs(times, len(alpha_bar) - 1)
        for i, (t, s) in enumerate(steps if to_0 else steps[:-1]):
            x_0_hat = denoise(state(x_T, x_t), denoised_at(t, s))
            x_t = (next_state or plain)(x_t, x_0_hat, t, s, alpha_bar, noise[i])
        return x_t
    return sampler


def plain(x_t, x_0_hat, t, s, alpha_bar, eps):
    return one_step(x_t, x_0_hat, alpha_bar[t], alpha_bar[s], eps)


def with_std(std):
    return walked(lambda x_t, x_0_hat, t, s, a, eps: one_step(x_t, x_0_hat, a[t], a[s], eps, std))


def with_alpha(alpha_of, std_of=lambda t, s, alpha: ((1 - s) / (1 - t) * (1 - alpha)) ** 0.5):
    """A step with another α, alpha_of(ᾱ, t, s), and with std_of(ᾱ_t, ᾱ_s, α) as the factor of eps."""
    def step(x_t, x_0_hat, t, s, alpha_bar, eps):
        alpha = alpha_of(alpha_bar, t, s)
        return one_step(x_t, x_0_hat, alpha_bar[t], alpha_bar[s], eps, lambda t, s: std_of(t, s, alpha), alpha)
    return step


@answers
def check_sampler(attempt):
    def right(denoise, x_T, times, alpha_bar, noise):
        return walked()(denoise, x_T, times, alpha_bar, noise)

    causes = [
        ("no noise is added. Only the last step has none.", with_std(lambda t, s: 0.0)),
        ("β tilde is a variance, and you used it as a standard deviation: the factor of the noise is its root.",
         with_std(lambda t, s: (1 - s) / (1 - t) * (1 - t / s))),
        ("you used β, the 'large' variance, in every step. Here β tilde is asked for, and the last step has no noise.",
         with_std(lambda t, s: (1 - t / s) ** 0.5)),
        ("you used β, the 'large' variance; β tilde has the factor (1-ᾱ_s)/(1-ᾱ_t).",
         with_std(lambda t, s: (1 - t / s) ** 0.5 if s < 1 else 0.0)),
        ("1-ᾱ_s is the noise in x_s if only x_0 is known. Given x_t, too, its variance is β tilde.",
         with_std(lambda t, s: (1 - s) ** 0.5)),
        ("your walk stops one step early: the last step goes from times[-1] to 0.", walked(to_0=False)),
        ("you took the α of neighbours, ᾱ_t/ᾱ_(t-1). The step from t to s has α = ᾱ_t/ᾱ_s.",
         walked(with_alpha(lambda a, t, s: a[t] / a[t - 1]))),
        ("you used ᾱ_t as α. The step from s to t has α = ᾱ_t/ᾱ_s.", walked(with_alpha(lambda a, t, s: a[t]))),
        ("you stepped from t to t-1 each time, whatever the next time is. Step to the next of `times`.",
         walked(lambda x_t, x_0, t, s, a, eps: plain(x_t, x_0, t, t - 1, a, eps))),
        ("the denoiser is asked about time s. It sees x_t, so tell it t.", walked(denoised_at=lambda t, s: s)),
        ("the denoiser is asked about t-1: you count from 0. Here t runs from 1 to T.",
         walked(denoised_at=lambda t, s: t - 1)),
        ("the denoiser always sees x_T. Hand it the state at which the walk has arrived.",
         walked(state=lambda x_T, x_t: x_T)),
        ("you stepped to x_0_hat itself, and added noise. The mean of x_s is equation (4).",
         walked(lambda x_t, x_0, t, s, a, eps: x_0 + one_step(0 * x_t, 0 * x_0, a[t], a[s], eps))),
        ("you noised x_0_hat afresh to time s and forgot x_t. The posterior uses both.",
         walked(lambda x_t, x_0, t, s, a, eps: a[s] ** 0.5 * x_0 + (1 - a[s]) ** 0.5 * eps)),
        ("x_0_hat and x_t are swapped in the mean.",
         walked(lambda x_t, x_0, t, s, a, eps: one_step(x_0, x_t, a[t], a[s], eps))),
    ]
    noise = torch.stack([EPS, X_0.flip(0), EPS.flip(0), X_T])
    diagnosed(attempt, right, causes,
              "Print each state, and compare with (4), (5) and (9). The pairs (t, s) are zip(times, times[1:] + [0]).",
              [(Answer(0.6, 0.05), X_T, [5, 4, 2], ALPHA_BAR, noise[:3]),
               (Answer(-0.3, 0.2), Y_T, [5, 3, 2, 1], OTHER, torch.stack([NOISE, Y_0, NOISE.flip(0), Y_0.flip(0)]))],
              tolerance=1e-9)
    return "The whole of ancestral sampling, in ten lines. Every sampler of the course has this shape."


@answers
def check_repaired_step(attempt):
    def right(x_t, x_0_hat, t, s, alpha_bar, eps):
        return plain(x_t, x_0_hat, t, s, alpha_bar, eps)

    def strided(a, t, s):
        return a[t] / a[s]

    def neighbours(a, t, s):
        return a[t] / a[t - 1]

    def var(t, s, alpha):
        return (1 - s) / (1 - t) * (1 - alpha)

    def root(t, s, alpha):
        return var(t, s, alpha) ** 0.5

    def mean_of(step, *case):
        """What a step makes without noise."""
        *rest, eps = case
        return torch.as_tensor(step(*rest, 0 * eps))

    def noise_of(step, *case):
        """What a step adds because of eps."""
        return torch.as_tensor(step(*case)) - mean_of(step, *case)

    causes = [
        ("that is still the faulty step.", with_alpha(neighbours, var)),
        ("one fault is repaired: the root of the variance. The other is in α. Which two times does this step connect?",
         with_alpha(neighbours, root)),
        ("one fault is repaired: α is that of the step from s to t. The other is in the last line: what is the factor "
         "of eps?", with_alpha(strided, var)),
        ("α is right. β is the variance if x_0 is not known at all; the code asks for β tilde, and for its root.",
         with_alpha(strided, lambda t, s, alpha: (1 - alpha) ** 0.5)),
        ("you dropped the noise. Its factor is the root of β tilde.", with_alpha(strided, lambda t, s, alpha: 0.0)),
        ("α is the ratio ᾱ_t/ᾱ_s, not ᾱ_t itself.", with_alpha(lambda a, t, s: a[t], root)),
        ("α is upside down: it is ᾱ_t/ᾱ_s, which is below 1.", with_alpha(lambda a, t, s: a[s] / a[t], root)),
        ("in the noise α is right, but in the mean it is still that of neighbours.",
         lambda x_t, x_0_hat, t, s, a, eps: right(0 * x_t, 0 * x_0_hat, t, s, a, eps)
         + with_alpha(neighbours, root)(x_t, x_0_hat, t, s, a, 0 * eps)),
        ("in the mean α is right, but in the noise it is still that of neighbours.",
         lambda x_t, x_0_hat, t, s, a, eps: right(x_t, x_0_hat, t, s, a, 0 * eps)
         + with_alpha(neighbours, root)(0 * x_t, 0 * x_0_hat, t, s, a, eps)),
    ]
    compare = "Compare each line with (4), (5) and (9), for a step from t to any s."
    numbers = [(X_T, X_0, 5, 2, ALPHA_BAR, EPS), (Y_T, Y_0, 6, 3, OTHER, NOISE), (Y_T, Y_0, 4, 0, OTHER, NOISE)]
    try:
        diagnosed(attempt, right, causes, compare, numbers)
    except Wrong as wrong:
        if str(wrong).startswith(compare):  # no cause was found: is one half of the step right?
            for part, left in ((mean_of, "the mean is right. What is left is in the factor of eps: the root of (5)."),
                               (noise_of, "the factor of eps is right. What is left is in the mean, equation (4).")):
                if all(close(part(attempt, *case), part(right, *case)) for case in numbers):
                    raise Wrong(left) from None
        raise
    return "The first fault is right for s = t-1, so a thousand steps hide it; the second makes every step too quiet."


REASONS = {
    "A": "A is false: the same denoiser works with a thousand steps. An exact one makes both errors, too.",
    "B": "B is true, and you left it out. It is about the shape of a long step: look at Figure 4, left.",
    "C": "C is true, and you left it out. It is about the width: what is the variance of the step if x_0 is known?",
    "D": "D is false: both walks start from N(0, I).",
    "E": "E is false: β is too wide for some data, and leaves points between, too.",
    "F": "F is true, and you left it out: what did exercise 3 find for two steps?",
}


@answers
def check_what_follows(attempt):
    require_letters(attempt(), "BCF", REASONS)
    return "The steps are long, and Gaussian: that is all. Neither the denoiser nor the start is to blame."
