from __future__ import annotations

import numpy as np
import pytest

from subbit.codecs import DeadZone
from subbit.planning import Coverage, Rule, make_plan
from subbit.planning.corrections import corrected_weights
from subbit.signs import Angle
from tests.subbit.planning.test_planner import InMemory, gaussian, templated


def tensors(**arrays: np.ndarray) -> dict[str, InMemory]:
    return {name.replace("_", "."): InMemory(array) for name, array in arrays.items()}


@pytest.mark.parametrize(
    ("weight", "correction", "expected"),
    [((96, 160), (4, 256), 96 * 160), ((16, 8, 3, 3), (2, 88), 16 * 72), ((96, 160), (4, 255), 0),
     ((96, 160), (256,), 0), ((160,), (1, 161), 0)],
)  # fmt: skip
def test_a_correction_is_told_from_its_name_and_shape(weight, correction, expected):
    found = tensors(w=np.ones(weight), w_correction=np.ones(correction), correction=np.ones((4, 256)))
    assert corrected_weights("w.correction", found) == expected
    assert corrected_weights("w", found) == corrected_weights("correction", found) == 0
    del found["w"]
    assert corrected_weights("w.correction", found) == 0


@pytest.mark.parametrize("signs", ["auto", "declared"])
def test_the_numbers_of_a_correction_weigh_as_much_as_the_weights_that_they_correct(signs):
    plane = Angle(5)
    found = tensors(w=templated(plane, 256, 512), w_correction=gaussian(4, 768, seed=3))
    plan = make_plan(found, 0.6, Coverage(), signs, {"w": plane})
    weight, correction = (plan.rule_for(name) for name in found)
    assert isinstance(correction, Rule)
    assert isinstance(correction.codec, DeadZone)
    share = (correction.error or 0) / (weight.error or 1)  # a bit saves as much in either
    assert share == pytest.approx(4 * 768 / (256 * 512), rel=0.5)
    assert plan.covered_bits <= 0.6 * plan.covered_weights + 1
