"""The sRGB colour profile that files for print carry."""

from __future__ import annotations


def srgb_profile() -> bytes:
    """Return an ICC profile of sRGB without a time, so that files are reproducible."""
    from PIL import ImageCms

    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes(12)  # ICC.1, 7.2.8: the time it was made
    return bytes(profile)
