"""Pictures of 1 to 16 pixels whose values can be worked out by hand: where pixels lie, and who covers whom."""

import numpy as np
import pytest

from artpipe import Canvas, RendererOptions, Scene, load_renderer

BLACK, WHITE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
RED, GREEN, BLUE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
# The other paths are held against the reference in test_renderers.
DRAWERS = {
    "reference": ("reference", None),
    "cpu": ("cpu", None),
    "torch dense": ("torch", RendererOptions(kernel="dense")),
}


@pytest.fixture(params=DRAWERS)
def draw(request):
    renderer = load_renderer(*DRAWERS[request.param])

    def draw_exactly(scene, expected):
        # A few roundings of numbers up to 1.
        np.testing.assert_allclose(renderer.render(scene), np.array(expected, float), rtol=0, atol=1e-6)

    return draw_exactly


def discs(width, height, background, *circles, edge="linear"):
    """Circles as (x, y, radius, colour, opacity, softness)."""
    x, y, radius, colour, opacity, softness = zip(*circles, strict=True)
    return Scene.circles(
        Canvas(width, height, background, edge),
        x=x, y=y, radius=radius, colour=colour, opacity=opacity, softness=softness,
    )  # fmt: skip


def test_no_circles_leave_the_background(draw):
    draw(Scene.empty(Canvas(2, 1, (0.25, 0.5, 0.75))), [[(0.25, 0.5, 0.75)] * 2])


def test_a_disc_about_a_pixel_centre_covers_that_pixel_alone(draw):
    # Column 2, row 1 has its centre at (2.5, 1.5); the neighbours' are 1 px away, the rim ends at 0.75.
    expected = np.zeros((3, 4, 3))
    expected[1, 2] = RED
    draw(discs(4, 3, BLACK, (2.5, 1.5, 0.5, RED, 1.0, 0.25)), expected)


def test_a_disc_about_a_pixel_corner_covers_the_four_pixels_around_it(draw):
    expected = np.zeros((4, 4, 3))
    expected[1:3, 1:3] = GREEN  # their centres are 0.71 px away, the next ones 1.58
    draw(discs(4, 4, BLACK, (2.0, 2.0, 1.0, GREEN, 1.0, 0.25)), expected)


def test_half_opacity_is_half_way_between_background_and_colour(draw):
    draw(discs(1, 1, (0.2, 0.4, 1.0), (0.5, 0.5, 2.0, RED, 0.5, 0.5)), [[(0.6, 0.2, 0.5)]])


def test_later_rows_are_painted_over_earlier_ones(draw):
    red, green = (0.5, 0.5, 2.0, RED, 0.5, 0.5), (0.5, 0.5, 2.0, GREEN, 0.5, 0.5)
    draw(discs(1, 1, BLUE, red, green), [[(0.25, 0.5, 0.25)]])
    draw(discs(1, 1, BLUE, green, red), [[(0.5, 0.25, 0.25)]])
    draw(discs(1, 1, WHITE, red, (0.5, 0.5, 3.0, BLUE, 1.0, 0.5)), [[BLUE]])  # an opaque one hides


def test_the_linear_rim_falls_from_one_to_zero_over_two_softnesses(draw):
    # Centres are 0, 1, 2, 3, 4, 5 px from that of the disc; the ramp goes from 1 at 1 px to 0 at 5 px.
    shades = [1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    draw(discs(6, 1, BLACK, (0.5, 0.5, 3.0, WHITE, 1.0, 2.0)), [[(m, m, m) for m in shades]])


def test_a_softness_above_the_radius_makes_a_blob_that_is_nowhere_full(draw):
    # At the centre 1/2 + 1/(2 * 2), at 1 px one half, at 2 px 1/2 - 1/(2 * 2), at 3 px nothing.
    draw(discs(4, 1, BLACK, (0.5, 0.5, 1.0, WHITE, 1.0, 2.0)), [[(m, m, m) for m in (0.75, 0.5, 0.25, 0.0)]])


def test_the_logistic_rim_is_a_sigmoid_in_squared_distance(draw):
    # At distance d from the centre of a circle of radius 2: sigmoid((4 - d²) / s), and sigmoid(log 3) = 3/4.
    softness = float(3 / np.log(3))
    shades = [1 - 1 / (1 + 3 ** (4 / 3)), 0.75, 0.5, 1 / (1 + 3 ** (5 / 3))]
    picture = [[(m, m, m) for m in shades]]
    draw(discs(4, 1, BLACK, (0.5, 0.5, 2.0, WHITE, 1.0, softness), edge="logistic"), picture)


def test_a_radius_of_zero_still_paints_its_soft_centre(draw):
    draw(discs(2, 1, BLACK, (0.5, 0.5, 0.0, WHITE, 1.0, 1.0)), [[(0.5, 0.5, 0.5), BLACK]])
