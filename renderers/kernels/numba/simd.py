"""Vectors of float32 as Numba values, so that inner loops are vectorised explicitly.

Numba's loop vectoriser adds overlap checks, a scalar remainder and separate reductions to every loop. For small
circles, which touch few pixel rows of a tile, these took longer than the loop itself. There are two types:

- `pixels`: LANES values, LLVM's `<16 x float>` where the CPU has AVX-512, otherwise `<8 x float>`, one AVX register, or
  two of SSE or NEON.
- `eight`: eight columns of a row.

    a = load(plane, p) * spread(x) + b      # plane: 1-D float32 array, p: uintp; operators + - * /

All arithmetic carries LLVM's fast-math flags, unless said otherwise: products contract to fused multiply-add, and
`inverse_square_root` becomes the reciprocal-square-root instruction with one Newton step (below 3 ulp).
Inputs must be finite.
"""

from __future__ import annotations

import operator
from typing import Any

import numba
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

EIGHT = 8


def _has_avx512() -> bool:
    """Whether Numba compiles for a CPU with AVX-512: the host's, unless NUMBA_CPU_FEATURES says otherwise."""
    config: Any = numba.config
    if config.CPU_FEATURES is None:
        return bool(get_host_cpu_features().get("avx512f"))
    return "+avx512f" in config.CPU_FEATURES


LANES = 16 if _has_avx512() else 8
"""Pixels of a vector."""

_FAST = ("fast",)
_INT = ir.IntType(32)
_PLANE = types.Array(types.float32, 1, "C")
_ROWS = types.Array(types.float32, 2, "C")


class VectorType(types.Type):
    """The Numba type of a vector of float32."""

    def __init__(self, name: str, width: int) -> None:
        super().__init__(name=f"artpipe.{name}{width}")
        self.floats = ir.VectorType(ir.FloatType(), width)
        self.ints = ir.VectorType(_INT, width)
        self.width = width


pixels = VectorType("pixels", LANES)
eight = VectorType("columns", EIGHT)


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, data_model_manager: Any, fe_type: Any) -> None:
        super().__init__(data_model_manager, fe_type, fe_type.floats)


def _add_operator(python_operator: Any, instruction: str) -> None:
    @infer_global(python_operator)
    class _Operator(ConcreteTemplate):
        cases = [signature(kind, kind, kind) for kind in (pixels, eight)]  # noqa: RUF012

    @lower_builtin(python_operator, VectorType, VectorType)  # type: ignore[untyped-decorator]
    def _lower(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return getattr(builder, instruction)(*arguments, flags=_FAST)


_add_operator(operator.add, "fadd")
_add_operator(operator.sub, "fsub")
_add_operator(operator.mul, "fmul")
_add_operator(operator.truediv, "fdiv")


def _constant(kind: Any, value: float) -> Any:
    return ir.Constant(kind, [value] * kind.count)


def _splat(builder: Any, scalar: Any, kind: VectorType) -> Any:
    zero = ir.Constant(_INT, 0)
    one_lane = builder.insert_element(ir.Constant(kind.floats, ir.Undefined), scalar, zero)
    return builder.shuffle_vector(one_lane, one_lane, ir.Constant(kind.ints, [0] * kind.width))


def _call(builder: Any, name: str, *arguments: Any, flags: Any = _FAST) -> Any:
    kind = arguments[0].type
    function_type = ir.FunctionType(kind, [kind] * len(arguments))
    function = get_or_insert_function(builder.module, function_type, f"{name}.v{kind.count}f32")
    return builder.call(function, arguments, fastmath=flags)


def _address(context: Any, builder: Any, array_type: Any, vector: Any, array: Any, offset: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), vector.as_pointer())


def _row_address(context: Any, builder: Any, array_type: Any, rows: Any, index: Any, first: Any) -> Any:
    width = builder.extract_value(context.make_array(array_type)(context, builder, rows).shape, 1)
    return _address(context, builder, array_type, eight.floats, rows, builder.add(builder.mul(index, width), first))


@intrinsic
def spread(typing_context: Any, scalar: Any) -> Any:
    """The same float32 in all pixels."""
    return pixels(types.float32), lambda context, builder, sig, arguments: _splat(builder, arguments[0], pixels)


@intrinsic
def spread_eight(typing_context: Any, scalar: Any) -> Any:
    """The same float32 in all columns."""
    return eight(types.float32), lambda context, builder, sig, arguments: _splat(builder, arguments[0], eight)


@intrinsic
def load(typing_context: Any, plane: Any, index: Any) -> Any:
    """`plane[index : index + LANES]`."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return builder.load(_address(context, builder, sig.args[0], pixels.floats, *arguments), align=4)

    return pixels(_PLANE, types.uintp), generate


@intrinsic(prefer_literal=True)
def load_rows(typing_context: Any, plane: Any, index: Any, stride: Any, width: Any) -> Any:
    """LANES / width runs of `width` (a constant) floats each, whose starts in the plane are `stride` apart."""
    run = width.literal_value

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        plane, index, stride, _ = arguments
        kind, parts = ir.VectorType(ir.FloatType(), run), []
        for _ in range(0, LANES, run):
            parts.append(builder.load(_address(context, builder, sig.args[0], kind, plane, index), align=4))
            index = builder.add(index, stride)
        while len(parts) > 1:
            order = list(range(2 * parts[0].type.count))
            mask = ir.Constant(ir.VectorType(_INT, len(order)), order)
            parts = [builder.shuffle_vector(a, b, mask) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        return parts[0]

    return pixels(_PLANE, types.uintp, types.uintp, width), generate


@intrinsic
def lanes_not_finite(typing_context: Any, plane: Any, index: Any) -> Any:
    """A bit mask of the NaN and infinite values of `plane[index : index + LANES]`, by exponent, despite fast-math."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        address = _address(context, builder, sig.args[0], pixels.ints, *arguments)
        exponents = _constant(pixels.ints, 0x7F800000)
        found = builder.icmp_unsigned("==", builder.and_(builder.load(address, align=4), exponents), exponents)
        return builder.zext(builder.bitcast(found, ir.IntType(LANES)), ir.IntType(64))

    return types.uint64(_PLANE, types.uintp), generate


@intrinsic
def store(typing_context: Any, plane: Any, index: Any, values: Any) -> Any:
    """`plane[index : index + LANES] = values`."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _address(context, builder, sig.args[0], pixels.floats, *arguments[:2]), align=4)
        return context.get_dummy_value()

    return types.void(_PLANE, types.uintp, pixels), generate


@intrinsic
def load_row(typing_context: Any, rows: Any, index: Any, first: Any) -> Any:
    """`rows[index, first : first + 8]`."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return builder.load(_row_address(context, builder, sig.args[0], *arguments), align=4)

    return eight(_ROWS, types.uintp, types.uintp), generate


@intrinsic
def store_row(typing_context: Any, rows: Any, index: Any, first: Any, values: Any) -> Any:
    """`rows[index, first : first + 8] = values`."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        builder.store(arguments[3], _row_address(context, builder, sig.args[0], *arguments[:3]), align=4)
        return context.get_dummy_value()

    return types.void(_ROWS, types.uintp, types.uintp, eight), generate


@intrinsic
def inverse_square_root(typing_context: Any, values: Any) -> Any:
    """`1 / sqrt(values)` for positive values."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        root = _call(builder, "llvm.sqrt", arguments[0])
        return builder.fdiv(_constant(root.type, 1.0), root, flags=_FAST)

    return values(values), generate


@intrinsic
def exact_root(typing_context: Any, values: Any) -> Any:
    """`sqrt(values)`, correctly rounded, for values from 0."""
    return values(values), lambda context, builder, sig, arguments: _call(builder, "llvm.sqrt", *arguments, flags=())


@intrinsic
def exact_quotient(typing_context: Any, values: Any, divisors: Any) -> Any:
    """`values / divisors`, correctly rounded."""
    return values(values, divisors), lambda context, builder, sig, arguments: builder.fdiv(*arguments)


@intrinsic
def clamp(typing_context: Any, values: Any) -> Any:
    """`values` clamped to 0..1."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        (value,) = arguments
        positive = _call(builder, "llvm.maxnum", value, _constant(value.type, 0.0))
        return _call(builder, "llvm.minnum", positive, _constant(value.type, 1.0))

    return values(values), generate


@intrinsic
def where_partial(typing_context: Any, coverage: Any, values: Any) -> Any:
    """`values` where the coverage lies strictly between 0 and 1, else 0."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        coverage, values = arguments
        zero = _constant(values.type, 0.0)
        above = builder.fcmp_ordered(">", coverage, zero)
        below = builder.fcmp_ordered("<", coverage, _constant(values.type, 1.0))
        return builder.select(builder.and_(above, below), values, zero)

    return values(coverage, values), generate


@intrinsic
def where_positive(typing_context: Any, condition: Any, values: Any, otherwise: Any) -> Any:
    """`values` where `condition` is at least 0, `otherwise` where it is below."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        condition = arguments[0]
        return builder.select(builder.fcmp_ordered(">=", condition, _constant(condition.type, 0.0)), *arguments[1:])

    return values(condition, values, otherwise), generate


@intrinsic
def absolute(typing_context: Any, values: Any) -> Any:
    """`|values|`."""
    return values(values), lambda context, builder, sig, arguments: _call(builder, "llvm.fabs", arguments[0])


@intrinsic
def least(typing_context: Any, left: Any, right: Any) -> Any:
    """The smaller of each pair."""
    return left(left, right), lambda context, builder, sig, arguments: _call(builder, "llvm.minnum", *arguments)


@intrinsic
def greatest(typing_context: Any, left: Any, right: Any) -> Any:
    """The larger of each pair."""
    return left(left, right), lambda context, builder, sig, arguments: _call(builder, "llvm.maxnum", *arguments)


def _ints_like(vector: Any) -> Any:
    return ir.VectorType(_INT, vector.type.count)


@intrinsic
def whole(typing_context: Any, values: Any) -> Any:
    """`values`, from 0 to 2**31, truncated to integers."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        (value,) = arguments
        return builder.sitofp(builder.fptosi(value, _ints_like(value)), value.type)

    return values(values), generate


@intrinsic
def power_of_half(typing_context: Any, values: Any) -> Any:
    """`2 ** -values` for integers from 0 to 126, by setting the exponent bits."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        (value,) = arguments
        ints = _ints_like(value)
        exponent = builder.sub(_constant(ints, 127), builder.fptosi(value, ints))
        return builder.bitcast(builder.shl(exponent, _constant(ints, 23)), value.type)

    return values(values), generate


def _reduce(builder: Any, name: str, *arguments: Any) -> Any:
    width = arguments[-1].type.count
    function_type = ir.FunctionType(ir.FloatType(), [argument.type for argument in arguments])
    function = get_or_insert_function(builder.module, function_type, f"llvm.vector.reduce.{name}.v{width}f32")
    return builder.call(function, arguments, fastmath=_FAST)


@intrinsic
def total(typing_context: Any, values: Any) -> Any:
    """The sum of the lanes, always in the same order."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return _reduce(builder, "fadd", ir.Constant(ir.FloatType(), 0.0), arguments[0])

    return types.float32(values), generate


@intrinsic
def largest(typing_context: Any, values: Any) -> Any:
    """The largest of the lanes."""
    return types.float32(values), lambda context, builder, sig, arguments: _reduce(builder, "fmax", arguments[0])


@intrinsic
def totals(typing_context: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    """The sums of eight vectors of pixels, as columns: halves are added, then an 8 x 8 transpose and add."""

    def shuffled(builder: Any, left: Any, right: Any, order: list[int]) -> Any:
        return builder.shuffle_vector(left, right, ir.Constant(ir.VectorType(_INT, len(order)), order))

    def folded(builder: Any, vector: Any) -> Any:
        """The vector with its halves added until it has eight lanes."""
        width = LANES
        while width > EIGHT:
            width //= 2
            low, high = (shuffled(builder, vector, vector, list(range(k, k + width))) for k in (0, width))
            vector = builder.fadd(low, high, flags=_FAST)
        return vector

    def add_halves(builder: Any, left: Any, right: Any, width: int) -> Any:
        """Adds adjacent runs of `width` lanes in each vector, and interleaves the sums."""
        first: list[int] = []
        second: list[int] = []
        for lane in range(0, EIGHT, 2 * width):
            for source in (0, EIGHT):
                first += range(source + lane, source + lane + width)
                second += range(source + lane + width, source + lane + 2 * width)
        return builder.fadd(*(shuffled(builder, left, right, order) for order in (first, second)), flags=_FAST)

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        a, b, c, d, e, f, g, h = (folded(builder, argument) for argument in arguments)
        pairs = [add_halves(builder, left, right, 4) for left, right in ((a, e), (b, f), (c, g), (d, h))]
        fours = [add_halves(builder, pairs[0], pairs[2], 2), add_halves(builder, pairs[1], pairs[3], 2)]
        return add_halves(builder, fours[0], fours[1], 1)

    return eight(*[pixels] * EIGHT), generate


@intrinsic
def pack(typing_context: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    """Eight float32 scalars as columns."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        result = ir.Constant(eight.floats, ir.Undefined)
        for lane, scalar in enumerate(arguments):
            result = builder.insert_element(result, scalar, ir.Constant(_INT, lane))
        return result

    return eight(*[types.float32] * EIGHT), generate
