"""The check for the exercise on attention in notebooks/06_unet.ipynb."""

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from diffusion_lab.exercises.feedback import Wrong, answers, close, tensor_like
from diffusion_lab.exercises.unet import random


class ByHand(TorchFunctionMode):
    """While it is active: the library's own attention is refused, and so is `.T` of a tensor of three axes."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is F.scaled_dot_product_attention:
            raise Wrong("that is the library's own function. Write out what it does: likenesses, shares, mixture.")
        if function == torch.Tensor.T.__get__ and args[0].ndim == 3:
            raise Wrong("`.T` turns round all three axes. The batch must stay first: `k.transpose(1, 2)`.")
        return function(*args, **(kwargs or {}))


@answers
def check_attend(attempt):
    q, k, v = random(3, 2, 5, 3)
    scores, root = q @ k.transpose(1, 2), 3**0.5
    with ByHand():
        given = attempt(q, k, v)
    expected = F.scaled_dot_product_attention(q, k, v)
    if torch.is_tensor(given) and given.shape == scores.shape:
        raise Wrong("those are the shares. Mix the values with them: `shares @ v`.")
    tensor_like(given, expected)
    for logits, dim, cause in (
        (scores, 2, "1/√d is missing."),
        (scores / 3, 2, "you divided by d; its root is the deviation of the inner products."),
        (scores / 5**0.5, 2, "d is the length of a query, not the number of places."),
        (scores * root, 2, "you multiplied by √d; divide."),
        (scores / root, 1, "your shares add up to 1 over the places that ask. They must do so over those that answer."),
        (scores / root, 0, "your softmax runs over the examples of the batch."),
        (scores.transpose(1, 2) / root, 2, "queries and keys are swapped: each row belongs to one query."),
        (-scores / root, 2, "the likest places get the smallest shares: the sign is turned."),
        (q @ v.transpose(1, 2) / root, 2, "the queries are compared with the values; compare them with the keys."),
    ):
        if close(given, torch.softmax(logits, dim=dim) @ v):
            raise Wrong(cause)
    if close(given, torch.softmax(scores, 2) @ v / root):
        raise Wrong("divide by √d before the softmax, not after: shares that are divided no longer add up to 1.")
    if close(given, scores / root @ v) or close(given, scores @ v):
        raise Wrong("the softmax is missing: the likenesses must become shares that add up to 1.")
    if close(given, torch.softmax(scores / root, 2) @ k):
        raise Wrong("you mixed the keys. They say how much of each place is taken; what is taken are the values.")
    if not close(given, expected):
        raise Wrong("compare each query with all keys (q kᵀ), divide by √d, softmax over the keys, mix the values.")
    return "The same as the library's, which is faster and needs less memory."
