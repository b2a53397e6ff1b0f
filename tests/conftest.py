"""Tests draw the same numbers each time, so that one that fails fails again."""

import os
import random
import sys

import numpy as np
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads that wait for each other spin, beside tests of other processes


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """What is fastest is measured for these tests, and not kept for the user."""
    os.environ["SUBBIT_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def seeded():
    random.seed(0)
    np.random.seed(0)
    if torch := sys.modules.get("torch"):  # a test that needs no torch must not import it
        torch.manual_seed(0)
