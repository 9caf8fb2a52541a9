"""The checks of the exercises of lessons/05_denoiser."""

import torch

from diffusion_lab.exercises.feedback import CHANGED, Wrong, answers, close, diagnosed, tensor_like
from diffusion_lab.theory.parameterization import v_from_x_0
from diffusion_lab.theory.schedule import cosine

X = torch.tensor([0.5, -0.5, 0.2, -0.8, 0.1], dtype=torch.float64)
Y = torch.tensor([1.2, -0.3, 0.9, -2.0, 0.4], dtype=torch.float64)
SHORT, OTHER = X[:3] + 0.6, Y[:3] - 0.7


@answers
def check_gradient(attempt):
    def first(w, x, y):
        w = leaf(w)
        before, given = w.item(), attempt(w, x, y)
        if w.item() != before:
            raise Wrong(CHANGED, name="w")
        return given

    def second(w, x, y):
        w = leaf(w)
        attempt(w, x, y)
        return attempt(w, x, y)

    def right(w, x, y):
        return (2 * x * (w * x - y)).mean()

    def loss(w, x, y):
        return ((w * x - y) ** 2).mean()

    causes = [
        ("the gradient is multiplied by the loss: `loss.backward(loss)` does that; leave it empty.",
         lambda w, x, y: loss(w, x, y) * right(w, x, y)),
        ("that is the gradient of the sum; take the mean over the examples.", lambda w, x, y: len(x) * right(w, x, y)),
        ("that is the loss. Its slope is in `w.grad`, after `loss.backward()`.", loss),
        ("half of it: the slope of a square is two times what is squared.", lambda w, x, y: right(w, x, y) / 2),
        ("the sign is turned: this is the way down; the gradient points up.", lambda w, x, y: -right(w, x, y)),
        ("that is the slope of the mean of w x - y: square it before you take the mean.", lambda w, x, y: x.mean()),
        ("you squared the mean of w x - y; asked is the mean of the squares.",
         lambda w, x, y: 2 * (w * x - y).mean() * x.mean()),
        ("that is the slope of the mean of |w x - y|; asked are squares, not absolute values.",
         lambda w, x, y: ((w * x - y).sign() * x).mean()),
        ("one number was expected, of shape (), but yours is a row of one number, of shape (1,). (Where "
         "`torch.autograd.grad` returns a tuple, the slope is its first entry, [0].)",
         lambda w, x, y: right(w, x, y)[None]),
        ("you return 0. If you clear `w.grad` after `backward`, you clear what you are about to return.",
         lambda w, x, y: 0 * x.sum()),
    ]
    look = "Compute the loss, the mean of (w x - y)², and call `loss.backward()`; then the slope is in `w.grad`."
    numbers = [(0.7, X, Y), (-1.3, SHORT, OTHER)]
    diagnosed(first, right, causes, look, numbers)
    twice = [("a second call returns twice the gradient: `backward` adds to what `w.grad` holds. Clear it first.",
              lambda w, x, y: 2 * right(w, x, y))]
    diagnosed(second, right, twice, "The first call is right, but not a second one with the same w, x and y.", numbers)
    w, sent_back = leaf(0.7), []
    w.register_hook(sent_back.append)  # called when autograd arrives at w, by `backward` or by `torch.autograd.grad`
    attempt(w, X, Y)
    if not sent_back:
        raise Wrong("the number is right, but autograd was not asked for the slope of this `w`. Do not work it out by "
                    "hand: compute the loss and call `loss.backward()`, which needs no formula for the slope.")
    return "The same slope from autograd at every call, as a training loop needs."


def leaf(w):
    return torch.tensor(w, dtype=torch.float64, requires_grad=True)


@answers
def check_eps_from_v(attempt):
    def right(x_t, v, alpha_bar_t):
        return alpha_bar_t**0.5 * v + (1 - alpha_bar_t) ** 0.5 * x_t

    causes = [
        ("that is x_0, the other half of the rotation. The noise takes the other two factors.",
         lambda x, v, a: a**0.5 * x - (1 - a) ** 0.5 * v),
        ("the two factors are swapped: where there is almost no noise (ᾱ_t = 1), v is ε itself.",
         lambda x, v, a: right(v, x, a)),
        ("the factors are roots: √ᾱ_t and √(1-ᾱ_t).", lambda x, v, a: a * v + (1 - a) * x),
        ("the factor of v is a root, too: √ᾱ_t.", lambda x, v, a: a * v + (1 - a) ** 0.5 * x),
        ("the factor of x_t is a root, too: √(1-ᾱ_t).", lambda x, v, a: a**0.5 * v + (1 - a) * x),
        ("1-√ᾱ_t is not √(1-ᾱ_t): subtract first, then take the root.", lambda x, v, a: a**0.5 * v + (1 - a**0.5) * x),
        ("you used v as if it were x_0: equation (1) solved for ε needs x_0, which you do not have.",
         lambda x, v, a: (x - a**0.5 * v) / (1 - a) ** 0.5),
        ("you solved equation (2) for ε with x_t in place of x_0, which you do not have. Combine it with (1), so that "
         "x_0 drops out.", lambda x, v, a: (v + (1 - a) ** 0.5 * x) / a**0.5),
    ] + [("a sign is wrong. Put v = √ᾱ_t ε - √(1-ᾱ_t) x_0 in: the terms with x_0 must cancel.",
          lambda x, v, a, sign=sign: sign * (a**0.5 * v - (1 - a) ** 0.5 * x)) for sign in (1, -1)]
    look = "Write x_t and v with x_0 and ε, equations (1) and (2), and combine them so that x_0 drops out."
    diagnosed(attempt, right, causes, look, [(X, Y, 0.8), (SHORT, OTHER, 0.3)])
    ends = [(X, Y, 1.0), (SHORT, OTHER, 0.0)]
    for end, root in zip(ends, ("√(1-ᾱ_t)", "√ᾱ_t")):
        if divides_by_0(attempt, end):
            raise Wrong("right in between, but at ᾱ_t = {end:.0f} it fails: something is divided by 0. There {root} is "
                        "0. Combine x_t and v so that x_0 drops out; no division is left.", end=end[2], root=root)
    diagnosed(attempt, right, [], f"Right in between, but not at both ends, ᾱ_t = 1 and ᾱ_t = 0. {look}", ends)
    return "No division: v can be turned into ε at every time, ᾱ_t = 0 and ᾱ_t = 1 included."


def divides_by_0(attempt, arguments):
    """Whether an attempt, right elsewhere, gives NaN, infinity or Python's exception for a division by 0."""
    try:
        given = attempt(*arguments)
        return torch.is_tensor(given) and not bool(given.isfinite().all())
    except ZeroDivisionError:
        return True


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
        ("you divided by the deviation; the exponent has the variance, 1-ᾱ_t.",
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
        raise Wrong("1-ᾱ_t is a variance, and you used it as a deviation: the factor of eps is √(1-ᾱ_t).")
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
        (eps, "x_t and t are right, but the third is ε; the loss of this notebook is on v."),
        (x_0, "x_t and t are right, but the third is x_0; the loss of this notebook is on v."),
        (noise * x_0 - signal * eps, "v has the wrong sign: it is √ᾱ_t ε - √(1-ᾱ_t) x_0."),
        (signal * eps + noise * x_0, "in v the term with x_0 is subtracted: √ᾱ_t ε - √(1-ᾱ_t) x_0."),
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
