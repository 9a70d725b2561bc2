"""The gradient of a batch, also where the batch does not fit into the memory: its parts go through the network in turn.

A loss may pool a batch, as the Dice coefficient and a class-weighted cross-entropy do; the mean of the parts' losses
would be another loss, and a batch size would not mean the same any more. So all parts are predicted first, without a
graph; the loss of all predictions is differentiated by them; then each part goes through the network again, and takes
its share of that derivative down to the weights: Gao et al., Scaling Deep Contrastive Learning Batch Size under Memory
Limited Setup (RepL4NLP 2021), section 3.2. It costs a second forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

Outputs = Any
"""What a network makes of a batch of N samples: a tensor (N, ...), or a named tuple of such tensors."""
Loss = Callable[[Outputs], Tensor]


def differentiate(network: nn.Module, loss_of: Loss, inputs: Tensor, most: int) -> Tensor:
    """Add the gradient of ``loss_of(network(inputs))`` to the weights; the loss itself, detached.

    ``most``: samples that go through the network at once; 0: all. In parts, whatever a network computes over a batch is
    over a part instead (batch normalisation), and dropout draws part by part.
    """
    parts = in_parts(inputs, most)
    if len(parts) > 1:
        return _in_two_passes(network, loss_of, parts)
    loss = loss_of(network(inputs))
    if loss.requires_grad:  # a model may be taken as it is, to be judged
        loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach()


def in_parts(samples: Tensor, most: int) -> tuple[Tensor, ...]:
    """Parts of ``most`` samples at most, of which none is larger than another by more than one."""
    count = -(-len(samples) // most) if most else 1
    return torch.tensor_split(samples, max(1, count))


def joined(parts: list[Outputs]) -> Outputs:
    """The outputs of consecutive parts of a batch as those of the batch."""
    if isinstance(parts[0], Tensor):
        return torch.cat(parts)
    return type(parts[0])(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def tensors(outputs: Outputs) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


def _in_two_passes(network: nn.Module, loss_of: Loss, parts: tuple[Tensor, ...]) -> Tensor:
    random, predicted = [], []
    with torch.no_grad():
        for part in parts:
            random.append(_random_state())
            predicted.append(network(part))
    whole = joined(predicted)
    for tensor in tensors(whole):
        tensor.requires_grad_()
    loss = loss_of(whole)
    loss.backward()  # type: ignore[no-untyped-call]
    with _buffers_kept(network):
        for k, gradients in enumerate(_shares(whole, parts)):
            _restore(random[k])  # the second pass drops out what the first one did
            with _adding_up(network, k == len(parts) - 1):
                outputs = tensors(network(parts[k]))
                pairs = [(o, g) for o, g in zip(outputs, gradients, strict=True) if o.requires_grad and g is not None]
                if pairs:
                    torch.autograd.backward(*map(list, zip(*pairs, strict=True)))  # type: ignore[arg-type]
    return loss.detach()


def _adding_up(network: nn.Module, last: bool) -> AbstractContextManager[None]:
    """The processes of a trial send each other the sum of all parts, with the last one."""
    if isinstance(network, DistributedDataParallel) and not last:
        return cast(AbstractContextManager[None], network.no_sync())
    return nullcontext()


def _shares(whole: Outputs, parts: tuple[Tensor, ...]) -> Iterator[list[Tensor | None]]:
    """The loss's derivative by the outputs of each part; None for an output that the loss does not ask for."""
    sizes = [len(part) for part in parts]
    of = [[None] * len(parts) if t.grad is None else torch.split(t.grad, sizes) for t in tensors(whole)]
    for k in range(len(parts)):
        yield [shares[k] for shares in of]


@contextmanager
def _buffers_kept(network: nn.Module) -> Iterator[None]:
    """Running statistics have seen the batch in the first pass, and are not to see it twice."""
    kept = [buffer.clone() for buffer in network.buffers()]
    yield
    with torch.no_grad():
        for buffer, value in zip(network.buffers(), kept, strict=True):
            buffer.copy_(value)


def _random_state() -> tuple[Tensor, Tensor | None]:
    return torch.get_rng_state(), torch.cuda.get_rng_state() if torch.cuda.is_available() else None


def _restore(state: tuple[Tensor, Tensor | None]) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1])
