"""The private names of Ray that a start replaces are those of the release that is installed."""

from __future__ import annotations

from importlib.metadata import version

from remit import local_ray


def test_the_installed_release_of_ray_is_one_whose_private_names_were_tried() -> None:
    assert version("ray").startswith(local_ray.TRIED)
