"""The optimizer of a run."""

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from audiorig.config import TrainConfig
from audiorig.train.groups import parameter_groups


def build_optimizer(model: nn.Module, settings: TrainConfig) -> Optimizer:
    """An optimizer of what learns in a model, in its groups.

    adamw takes the decay off the weights (Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2);
    adam and sgd add it to the gradient, so that adam's momenta hold it too. The adams are fused: one
    pass over all weights, the Trainer's own choice. A weight without a gradient is passed over: no
    decay, no momentum.
    """
    groups, rate = parameter_groups(model, settings.learning_rate, settings.weight_decay), settings.learning_rate
    match settings.optimizer:
        case "adamw":
            return AdamW(groups, lr=rate, betas=settings.betas, eps=settings.epsilon, fused=True)
        case "adam":
            return Adam(groups, lr=rate, betas=settings.betas, eps=settings.epsilon, fused=True)
        case "sgd":
            return SGD(groups, lr=rate, momentum=settings.momentum)
