"""One training run on several processes, as `torchrun --nproc-per-node N -m diffusion_lab train …` starts them.

Every process has the whole state, and draws the same batch, times and noise. Of each batch it computes only its share
of the rows; the answers for the other rows come from the others, as numbers. So any loss is that of the whole batch on
every process, its gradient is that of the share, and the sum of all gradients is the gradient of the whole batch. What
follows, clipping, step and average, is the same everywhere, and a file that one process writes can be resumed by any
number of them. Processes talk by gloo on CPUs and by nccl on CUDA; CUDA could not be tried here.
"""

import os

import torch
from torch import distributed

from diffusion_lab.guard import require


def begin(device):
    """Join the other processes, if torchrun has started several. Returns this one's number, 0…N-1, and N."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return 0, 1
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return distributed.get_rank(), distributed.get_world_size()


def end():
    """Leave the other processes."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def any_wants(wish, device):
    """Whether any of the processes has the wish: all do the same then."""
    if not distributed.is_initialized():
        return wish
    count = torch.tensor(int(wish), device=device)
    distributed.all_reduce(count)
    return count.item() > 0


def shared(run, loss):
    """The loss for `train`, of which each process computes its share; without other processes, the loss itself.

    loss: must reach the weights by the network's answers alone, and the network treat each row by itself (no batch
    normalisation). From now on each gradient of the run's weights is summed over the processes as it is made.
    """
    if not distributed.is_initialized():
        return loss
    count = distributed.get_world_size()
    require(run.recipe.batch >= count, f"a batch of {run.recipe.batch} is too small for {count} processes.")
    for weight in run.network.parameters():
        weight.register_post_accumulate_grad_hook(lambda weight: distributed.all_reduce(weight.grad))

    def of_the_share(network, batch, generator):
        return loss(Share(network), batch, generator)

    return of_the_share


class Share:
    """The network as a loss sees it: answers for all rows, with a gradient for those of this process."""

    def __init__(self, network):
        self.network = network

    def __getattr__(self, name):  # null_label and the like
        return getattr(self.network, name)

    def __call__(self, x_t, t, label=None):
        rows = torch.arange(len(x_t)).tensor_split(distributed.get_world_size())[distributed.get_rank()]
        first, end = rows[0], rows[-1] + 1
        own = self.network(x_t[first:end], t[first:end], label[first:end] if torch.is_tensor(label) else label)
        whole = own.new_zeros(len(x_t), *own.shape[1:])
        whole[first:end] = own.detach()
        distributed.all_reduce(whole)  # the others' rows are 0 here, and ours there
        return torch.cat([whole[:first], own, whole[end:]])
