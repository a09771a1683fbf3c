"""What each loss sees, and what it does not."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.training.losses import PatchJudge, color_loss, edge_loss, picture_loss


@pytest.fixture
def filmed() -> Tensor:
    torch.manual_seed(0)
    return functional.interpolate(torch.rand(2, 3, 24, 24), (96, 96), mode="bilinear")


def blurred(faces: Tensor) -> Tensor:
    return functional.avg_pool2d(faces, 9, 1, 4, count_include_pad=False)


@pytest.mark.parametrize("loss", [picture_loss, color_loss, edge_loss])
def test_a_face_drawn_as_filmed_costs_nothing(loss, filmed):
    assert loss(filmed, filmed).item() == 0


def test_a_cast_is_a_matter_of_colour_and_not_of_edges(filmed):
    tinted = filmed + torch.tensor([0.1, 0.0, 0.0]).view(1, 3, 1, 1)
    assert color_loss(tinted, filmed).item() == pytest.approx(0.1 / 3, rel=1e-3)
    assert edge_loss(tinted, filmed).item() == pytest.approx(0, abs=1e-6)


def test_detail_elsewhere_is_no_matter_of_colour(filmed):
    shuffled = filmed.unflatten(2, (8, 12)).flip(3).flatten(2, 3)
    assert color_loss(shuffled, filmed).item() == pytest.approx(0, abs=1e-6)
    assert picture_loss(shuffled, filmed).item() > 0.05


def test_blur_costs_edges_and_moved_edges_hardly_do(filmed):
    moved = filmed.roll(1, 3)
    assert edge_loss(blurred(filmed), filmed).item() > 4 * edge_loss(moved, filmed).item()


def test_the_mouth_counts_more_than_the_half_that_is_shown(filmed):
    at_mouth, at_brow = filmed.clone(), filmed.clone()
    at_mouth[:, :, 66:78, 40:56] += 0.2
    at_brow[:, :, 10:22, 40:56] += 0.2
    assert picture_loss(at_mouth, filmed) > 8 * picture_loss(at_brow, filmed)


def test_the_judge_learns_blur_from_film(filmed):
    torch.manual_seed(1)
    judge = PatchJudge()
    optimizer = torch.optim.Adam(judge.parameters(), 2e-3)
    for _ in range(60):
        optimizer.zero_grad()
        judge.mistakes(blurred(filmed), filmed).backward()
        optimizer.step()
    assert judge.mistakes(blurred(filmed), filmed).item() < 1
    assert judge(filmed)[0].mean() > judge(blurred(filmed))[0].mean()
