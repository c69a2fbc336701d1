"""The training loop of lesson 13: its data, its network, and that a seed decides everything."""

import pytest
import torch
from torch import nn

from utils.training import TEST, accuracy, digits, small_cnn, train


@pytest.fixture(scope="module")
def data():
    return digits()


def test_digits_are_what_they_say(data):
    assert data.images.shape == (1797 - TEST, 1, 8, 8)
    assert data.test_images.shape == (TEST, 1, 8, 8)
    for images, labels in ((data.images, data.labels), (data.test_images, data.test_labels)):
        assert images.dtype == torch.float32 and images.min() == 0 and images.max() == 1
        assert images.is_contiguous()
        assert labels.dtype == torch.int64 and sorted(set(labels.tolist())) == list(range(10))


def test_a_seed_decides_the_parameters_and_touches_no_other_numbers():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    one, two, other = small_cnn(), small_cnn(), small_cnn(seed=1)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one[0].weight, other[0].weight)


def test_it_uses_the_class_that_it_is_given():
    class Conv2d(nn.Conv2d):
        pass

    model = small_cnn(Conv2d, channels=(3, 5))
    assert [type(layer) for layer in model if isinstance(layer, nn.Conv2d)] == [Conv2d, Conv2d]
    assert model(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_training_learns_and_repeats(data):
    models = [small_cnn() for _ in range(2)]
    losses = [train(model, data, 60) for model in models]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 60
    assert losses[0][0] == pytest.approx(2.3, abs=0.1)  # log 10: it knows nothing
    assert sum(losses[0][-10:]) / 10 < 0.6
    assert accuracy(models[0], data) > 0.75


def test_an_epoch_shows_every_image_once(data):
    seen = []

    class Watch(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(64, 10)

        def forward(self, x):
            seen.append(x.flatten(1))
            return self.linear(x.flatten(1))

    train(Watch(), data, 10, batch=150)
    assert torch.equal(torch.cat(seen).sum(0), data.images.flatten(1).sum(0))


def test_it_refuses_a_batch_that_does_not_fit(data):
    for batch in (0, 1501):
        with pytest.raises(ValueError, match="batch must be from 1 to 1500"):
            train(small_cnn(), data, 1, batch=batch)


def test_a_loss_that_is_not_finite_is_an_error(data):
    model = small_cnn()
    with torch.no_grad():
        model[0].weight.fill_(float("nan"))
    threads = torch.get_num_threads()
    with pytest.raises(FloatingPointError, match="loss of step 0 is nan"):
        train(model, data, 3)
    assert torch.get_num_threads() == threads
