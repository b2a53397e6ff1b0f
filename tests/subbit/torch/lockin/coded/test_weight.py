"""What holds for every codec in the loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import subbit
from subbit.codecs import Codec, DeadZone, LowBit, OneOfN, Vector
from subbit.records import matrix_shape
from subbit.signs import Angle, Hashed, LowRank, Stored
from subbit.torch.lockin.coded import VALUES, Coded

CODECS = st.one_of(
    st.builds(Vector, st.integers(1, 7), st.integers(1, 9)),
    st.builds(LowBit, st.sampled_from([0.1, 0.5, 2.0])),
    st.builds(DeadZone, st.sampled_from([0.1, 0.8, 3.0])),
    st.builds(OneOfN, st.sampled_from([2, 4, 8, 64]), st.sampled_from(["stored", "seeded"]), st.integers(0, 9)),
)
PLANES = [Hashed(3), Angle(4), LowRank(3, 5), Stored()]


def stored_bits(coded: Coded, weight: torch.Tensor) -> np.ndarray:
    return subbit.decode(coded.encoded(weight)).view(np.uint8)


def forward_bits(coded: Coded, weight: torch.Tensor) -> np.ndarray:
    return coded(weight).detach().contiguous().view(torch.uint8).numpy()


@settings(deadline=None, max_examples=60)
@given(
    codec=CODECS, plane=st.sampled_from(PLANES), scale=st.sampled_from([0.0, 1e-20, 0.02, 1e9]),
    shape=st.lists(st.integers(1, 23), min_size=2, max_size=3).filter(lambda s: np.prod(s) < 999).map(tuple),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16, torch.float64]), seed=st.integers(0, 99),
)  # fmt: skip
def test_forward_and_decoder_agree_to_the_bit(codec: Any, plane, scale, shape, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    weight = (torch.randn(shape, generator=generator) * scale).clamp(-6e4, 6e4).to(dtype)
    coded = Coded(weight, None if isinstance(codec, Codec) else plane, codec)
    with torch.no_grad():
        for parameter in coded.parameters():  # far from what fitting gives, negative ones too
            parameter.add_(torch.randn(parameter.shape, generator=generator))
        coded.assign(weight)
    assert coded(weight).dtype == dtype
    encoded = coded.encoded(weight)
    assert encoded.bits <= coded.codec.bits(tuple(weight.shape))
    assert np.array_equal(stored_bits(coded, weight), forward_bits(coded, weight))


@pytest.mark.parametrize("codec", [make() for make in VALUES])
def test_training_starts_near_what_the_codec_would_store(codec):
    weight = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))
    coded = Coded(weight, None if isinstance(codec, Codec) else Stored(), codec)
    best = subbit.decode(coded.codec.encode(weight.numpy()))
    errors = [(weight - values).square().sum() for values in (torch.from_numpy(best), coded(weight).detach())]
    assert errors[1] < 1.03 * errors[0]
    assert list(coded.encoded(weight).sections) == list(coded.codec.encode(weight.numpy()).sections)
    assert coded.matrix == matrix_shape(tuple(weight.shape))


@pytest.mark.parametrize("codec", [make() for make in VALUES])
def test_codes_follow_the_latent_weight_and_its_gradient_is_the_weights_own(codec):
    weight = torch.randn(8, 64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    coded = Coded(weight, None if isinstance(codec, Codec) else Hashed(1), codec)
    before = [parameter.detach().clone() for parameter in coded.parameters()]
    first = coded(weight)
    first.sum().backward()
    assert torch.equal(weight.grad, torch.ones_like(weight))
    with torch.no_grad():
        coded.assign(weight.flip(1))
    assert not torch.equal(coded(weight), first)
    assert all(torch.equal(a, b) for a, b in zip(coded.parameters(), before, strict=True))
