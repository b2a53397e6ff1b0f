from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import xxhash

from subbit.errors import SubbitError
from subbit.parents import content_hash
from subbit.signs import Base


def test_content_hash_is_that_of_the_specification() -> None:
    tensor = np.array([[1, -2, 3]], np.float16)
    text = b"float16 1 3\n" + tensor.tobytes()
    assert content_hash(tensor) == xxhash.xxh3_128(text).hexdigest()
    assert content_hash(np.zeros((), np.int8)) == xxhash.xxh3_128(b"int8\n\0").hexdigest()


def test_type_shape_and_every_bit_count() -> None:
    tensor = np.arange(6, dtype=np.float32).reshape(2, 3)
    touched = tensor.copy()
    touched[0, 0] = -0.0
    others = [touched, tensor.T.copy(), tensor.reshape(6), tensor.view(np.int32), tensor.astype(ml_dtypes.bfloat16)]
    assert len({content_hash(other) for other in [tensor, *others]}) == 6
    assert content_hash(tensor[:, ::-1][:, ::-1]) == content_hash(np.asfortranarray(tensor)) == content_hash(tensor)


@pytest.mark.parametrize("value", ["", "ab", "g" * 32, "A" * 32, "0" * 33, 7])
def test_what_is_no_hash_is_refused(value: object) -> None:
    with pytest.raises(SubbitError) as caught:
        Base(parent=value)  # type: ignore[arg-type]
    assert caught.value.kind == "parent"


def test_a_bound_plane_is_equal_to_an_unbound_one_and_stays_out_of_its_text() -> None:
    tensor = np.ones((2, 3), np.float32)
    bound = Base().given(tensor)
    assert bound == Base(content_hash(tensor)) == Base(content_hash(tensor)).given(tensor)
    assert repr(bound) == f"Base(parent='{content_hash(tensor)}')"
    assert bound.tensor is tensor
    with pytest.raises(SubbitError, match=content_hash(tensor)):
        Base(content_hash(tensor)).given(-tensor)
