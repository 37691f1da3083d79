"""Training and evaluation mode, module by module."""

import torch

from audiorig.models.modes import evaluating


def test_each_module_goes_back_to_its_own_mode() -> None:
    model = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Sequential(torch.nn.Dropout()))
    model.train()
    model[1].eval()  # a frozen part
    with evaluating(model):
        assert not any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == [True, True, False, False]
