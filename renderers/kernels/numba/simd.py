"""Eight float32 values as one Numba value, so that inner loops are vectorised explicitly.

Numba's loop vectoriser adds overlap checks, a scalar remainder and separate reductions to every loop. For small
circles, which touch few pixel rows of a tile, these took longer than the loop itself. `Float8` is LLVM's
`<8 x float>`: one AVX register, or two of SSE or NEON.

    a = load(plane, p) * spread(x) + b      # plane: 1-D float32 array, p: uintp; operators + - * / on Float8

All arithmetic carries LLVM's fast-math flags: products contract to fused multiply-add, and
`inverse_square_root` becomes the reciprocal-square-root instruction with one Newton step (below 3 ulp).
Inputs must be finite.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 8

_FAST = ("fast",)
_LLVM_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_LLVM_INTS = ir.VectorType(ir.IntType(32), LANES)
_PLANE = types.Array(types.float32, 1, "C")
_ROWS = types.Array(types.float32, 2, "C")


class Float8Type(types.Type):
    """The Numba type of eight float32 values."""

    def __init__(self) -> None:
        super().__init__(name="float32x8")


float8 = Float8Type()


@register_model(Float8Type)
class _Float8Model(models.PrimitiveModel):
    def __init__(self, data_model_manager: Any, fe_type: Any) -> None:
        super().__init__(data_model_manager, fe_type, _LLVM_FLOATS)


def _add_operator(python_operator: Any, instruction: str) -> None:
    @infer_global(python_operator)
    class _Operator(ConcreteTemplate):
        cases = [signature(float8, float8, float8)]  # noqa: RUF012

    @lower_builtin(python_operator, float8, float8)  # type: ignore[untyped-decorator]
    def _lower(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return getattr(builder, instruction)(*arguments, flags=_FAST)


_add_operator(operator.add, "fadd")
_add_operator(operator.sub, "fsub")
_add_operator(operator.mul, "fmul")
_add_operator(operator.truediv, "fdiv")


def _constant(value: float) -> Any:
    return ir.Constant(_LLVM_FLOATS, [value] * LANES)


def _splat(builder: Any, scalar: Any) -> Any:
    zero = ir.Constant(ir.IntType(32), 0)
    one_lane = builder.insert_element(ir.Constant(_LLVM_FLOATS, ir.Undefined), scalar, zero)
    return builder.shuffle_vector(one_lane, one_lane, ir.Constant(_LLVM_INTS, [0] * LANES))


def _call(builder: Any, name: str, *arguments: Any) -> Any:
    function_type = ir.FunctionType(_LLVM_FLOATS, [_LLVM_FLOATS] * len(arguments))
    function = get_or_insert_function(builder.module, function_type, f"{name}.v{LANES}f32")
    return builder.call(function, arguments, fastmath=_FAST)


def _address(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), _LLVM_FLOATS.as_pointer())


@intrinsic
def spread(typing_context: Any, scalar: Any) -> Any:
    """The same float32 in all lanes."""
    return float8(types.float32), lambda context, builder, sig, arguments: _splat(builder, arguments[0])


@intrinsic
def load(typing_context: Any, plane: Any, index: Any) -> Any:
    """`plane[index : index + 8]`."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return builder.load(_address(context, builder, sig.args[0], *arguments), align=4)

    return float8(_PLANE, types.uintp), generate


@intrinsic
def lanes_not_finite(typing_context: Any, plane: Any, index: Any) -> Any:
    """A bit mask of the NaN and infinite values of `plane[index : index + 8]`, by exponent bits, despite fast-math."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        address = builder.bitcast(_address(context, builder, sig.args[0], *arguments), _LLVM_INTS.as_pointer())
        exponents = ir.Constant(_LLVM_INTS, [0x7F800000] * LANES)
        found = builder.icmp_unsigned("==", builder.and_(builder.load(address, align=4), exponents), exponents)
        return builder.zext(builder.bitcast(found, ir.IntType(LANES)), ir.IntType(64))

    return types.uint64(_PLANE, types.uintp), generate


@intrinsic
def store(typing_context: Any, plane: Any, index: Any, values: Any) -> Any:
    """`plane[index : index + 8] = values`."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _address(context, builder, sig.args[0], *arguments[:2]), align=4)
        return context.get_dummy_value()

    return types.void(_PLANE, types.uintp, float8), generate


@intrinsic
def store_row(typing_context: Any, rows: Any, index: Any, first: Any, values: Any) -> Any:
    """`rows[index, first : first + 8] = values`."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        rows, index, first, values = arguments
        width = builder.extract_value(context.make_array(sig.args[0])(context, builder, rows).shape, 1)
        place = builder.add(builder.mul(index, width), first)
        builder.store(values, _address(context, builder, sig.args[0], rows, place), align=4)
        return context.get_dummy_value()

    return types.void(_ROWS, types.uintp, types.uintp, float8), generate


@intrinsic
def inverse_square_root(typing_context: Any, values: Any) -> Any:
    """`1 / sqrt(values)` for positive values."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return builder.fdiv(_constant(1.0), _call(builder, "llvm.sqrt", arguments[0]), flags=_FAST)

    return float8(float8), generate


@intrinsic
def clamp(typing_context: Any, values: Any) -> Any:
    """`values` clamped to 0..1."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return _call(
            builder, "llvm.minnum", _call(builder, "llvm.maxnum", arguments[0], _constant(0.0)), _constant(1.0)
        )

    return float8(float8), generate


@intrinsic
def where_partial(typing_context: Any, coverage: Any, values: Any) -> Any:
    """`values` where the coverage lies strictly between 0 and 1, else 0."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        coverage, values = arguments
        above = builder.fcmp_ordered(">", coverage, _constant(0.0))
        below = builder.fcmp_ordered("<", coverage, _constant(1.0))
        return builder.select(builder.and_(above, below), values, _constant(0.0))

    return float8(float8, float8), generate


@intrinsic
def where_positive(typing_context: Any, condition: Any, values: Any, otherwise: Any) -> Any:
    """`values` where `condition` is at least 0, `otherwise` where it is below."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">=", arguments[0], _constant(0.0)), *arguments[1:])

    return float8(float8, float8, float8), generate


@intrinsic
def absolute(typing_context: Any, values: Any) -> Any:
    """`|values|`."""
    return float8(float8), lambda context, builder, sig, arguments: _call(builder, "llvm.fabs", arguments[0])


@intrinsic
def least(typing_context: Any, left: Any, right: Any) -> Any:
    """The smaller of each pair."""
    return float8(float8, float8), lambda context, builder, sig, arguments: _call(builder, "llvm.minnum", *arguments)


@intrinsic
def greatest(typing_context: Any, left: Any, right: Any) -> Any:
    """The larger of each pair."""
    return float8(float8, float8), lambda context, builder, sig, arguments: _call(builder, "llvm.maxnum", *arguments)


@intrinsic
def whole(typing_context: Any, values: Any) -> Any:
    """`values`, from 0 to 2**31, truncated to integers."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return builder.sitofp(builder.fptosi(arguments[0], _LLVM_INTS), _LLVM_FLOATS)

    return float8(float8), generate


@intrinsic
def power_of_half(typing_context: Any, values: Any) -> Any:
    """`2 ** -values` for integers from 0 to 126, by setting the exponent bits."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        exponent = builder.sub(ir.Constant(_LLVM_INTS, [127] * LANES), builder.fptosi(arguments[0], _LLVM_INTS))
        return builder.bitcast(builder.shl(exponent, ir.Constant(_LLVM_INTS, [23] * LANES)), _LLVM_FLOATS)

    return float8(float8), generate


def _reduce(builder: Any, name: str, *arguments: Any) -> Any:
    function_type = ir.FunctionType(ir.FloatType(), [argument.type for argument in arguments])
    function = get_or_insert_function(builder.module, function_type, f"llvm.vector.reduce.{name}.v{LANES}f32")
    return builder.call(function, arguments, fastmath=_FAST)


@intrinsic
def total(typing_context: Any, values: Any) -> Any:
    """The sum of the eight lanes, always in the same order."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return _reduce(builder, "fadd", ir.Constant(ir.FloatType(), 0.0), arguments[0])

    return types.float32(float8), generate


@intrinsic
def largest(typing_context: Any, values: Any) -> Any:
    """The largest of the eight lanes."""
    return types.float32(float8), lambda context, builder, sig, arguments: _reduce(builder, "fmax", arguments[0])


@intrinsic
def totals(typing_context: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    """The sums of eight vectors, one per lane: an 8 x 8 transpose and add in 24 instructions."""

    def add_halves(builder: Any, left: Any, right: Any, width: int) -> Any:
        """Adds adjacent runs of `width` lanes in each vector, and interleaves the sums."""
        first: list[int] = []
        second: list[int] = []
        for lane in range(0, LANES, 2 * width):
            for source in (0, LANES):
                first += range(source + lane, source + lane + width)
                second += range(source + lane + width, source + lane + 2 * width)
        pick = [builder.shuffle_vector(left, right, ir.Constant(_LLVM_INTS, order)) for order in (first, second)]
        return builder.fadd(*pick, flags=_FAST)

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        a, b, c, d, e, f, g, h = arguments
        pairs = [add_halves(builder, left, right, 4) for left, right in ((a, e), (b, f), (c, g), (d, h))]
        fours = [add_halves(builder, pairs[0], pairs[2], 2), add_halves(builder, pairs[1], pairs[3], 2)]
        return add_halves(builder, fours[0], fours[1], 1)

    return float8(*[float8] * 8), generate


@intrinsic
def pack(typing_context: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    """Eight float32 scalars as lanes."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        result = ir.Constant(_LLVM_FLOATS, ir.Undefined)
        for lane, scalar in enumerate(arguments):
            result = builder.insert_element(result, scalar, ir.Constant(ir.IntType(32), lane))
        return result

    return float8(*[types.float32] * 8), generate
