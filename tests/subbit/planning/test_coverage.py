from __future__ import annotations

import pytest

from subbit.codecs import Dense, Uniform
from subbit.errors import UsageError
from subbit.planning import Coverage


@pytest.mark.parametrize(
    "name",
    [
        "model.embed_tokens.weight", "transformer.wte.weight", "transformer.wpe.weight",
        "lm_head.weight", "shared.weight", "model.lm_head.weight", "bert.embeddings.word_embeddings.weight",
        "token_embd.weight", "tok_embeddings.weight", "cls.predictions.decoder.weight",
    ],
)  # fmt: skip
def test_embeddings_and_heads(name: str) -> None:
    assert Coverage().kept_as(name, (100, 16), "bfloat16") == Uniform(width=8)
    assert Coverage(embeddings=4).kept_as(name, (100, 16), "float32") == Uniform(width=4)
    assert Coverage(embeddings=16).kept_as(name, (100, 16), "float32") == Dense()
    assert Coverage(cover=("*",)).kept_as(name, (100, 16), "float32") is None
    assert Coverage(keep=("*",), cover=("*",)).kept_as(name, (100, 16), "float32") == Dense()


@pytest.mark.parametrize("name", ["layers.0.q.weight", "lm_header.weight", "a.weight", "embed.bias"])
def test_covered(name: str) -> None:
    for dtype in ("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"):
        assert Coverage().kept_as(name, (8, 9), dtype) is None
        assert Coverage().kept_as(name, (8, 2, 3, 3), dtype) is None


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((9,), "float32"), ((), "float32"), ((0, 4), "float32"), ((4, 4), "int8"), ((4, 4), "bool"),
     ((4, 4), "complex64"), ((4, 4), "float8_e8m0fnu")],
)  # fmt: skip
def test_what_only_dense_can_hold(shape: tuple[int, ...], dtype: str) -> None:
    assert Coverage(cover=("*",)).kept_as("a.weight", shape, dtype) == Dense()
    assert Coverage(embeddings=4).kept_as("lm_head.weight", shape, dtype) == Dense()


def test_names_that_look_like_patterns() -> None:
    assert Coverage(keep=("a[0].w",)).kept_as("a[0].w", (4, 4), "float32") == Dense()
    assert Coverage(keep=("layers.?.q",)).kept_as("layers.3.q", (4, 4), "float32") == Dense()
    assert Coverage(keep=("layers.?.q",)).kept_as("layers.13.q", (4, 4), "float32") is None


@pytest.mark.parametrize("bits", [0, 1, 9, 15, -3])
def test_impossible_embeddings(bits: int) -> None:
    with pytest.raises(UsageError) as caught:
        Coverage(embeddings=bits)
    assert caught.value.kind == "embeddings"
