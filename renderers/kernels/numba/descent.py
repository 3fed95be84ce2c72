"""One optimiser step of each row: its gradient from the sums of its entries, Adam, limits, and the decoded row.

Adam with bias correction per row, so that new rows start with full steps: each row keeps the running means of the
number 1, which are the divisors of Adam's bias correction. Source: Kingma and Ba, Adam: A Method for Stochastic
Optimization, 2015, algorithm 1; there the correction is 1 - beta^t with one t for all rows.
"""

from __future__ import annotations

import math

from numba import njit

from .bins import span_of
from .cache import compiled
from .shapes.dispatch import chain_rule, limit, pack_row
from .shapes.layout import NARROW, ONE, ZERO, F, U
from .sigmoid import decay
from .simd import (
    EIGHT,
    exact_quotient,
    exact_root,
    greatest,
    least,
    load_row,
    spread_eight,
    store_row,
    where_positive,
)

# Rows of the table of a primitive, with a number for each column: learning rate; limits; the polynomial in a value that
# is its derivative by its raw value; the transform, as two signs; the limits of the value, which rounding may not pass.
RATE, LOW, HIGH, SLOPE_0, SLOPE_1, SLOPE_2, IS_LOG, IS_LOGIT, LEAST, MOST = (U(k) for k in range(10))
TABLE_ROWS = 10

# Rows of a task.
CHUNK = 64


@njit(inline="always")
def move_row(i, kind, gradient, scale, numbers, tables, raw, mean, square, weights, decoded):
    """Takes an optimiser step with one row.

    Args:
        i: index of the row.
        kind: code of its primitive.
        gradient: (N, W) float32, dL/drow.
        scale: factor of the learning rates.
        numbers: (5,) float32, as in `Optimiser`.
        tables: (primitives TABLE_ROWS, W) float32.
        raw: (N, W) float32, raw parameters, changed.
        mean: (N, W) float32, Adam's mean of gradients, changed.
        square: (N, W) float32, Adam's mean of squared gradients, changed.
        weights: (N, 2) float32, the same two means of the number 1, changed.
        decoded: (N, W) float32, the row, changed.
    """
    beta1, beta2, epsilon = numbers[0], numbers[1], numbers[2]
    weights[i, 0] += (ONE - beta1) * (ONE - weights[i, 0])
    weights[i, 1] += (ONE - beta2) * (ONE - weights[i, 1])
    first_weight, second_weight = spread_eight(weights[i, 0]), spread_eight(weights[i, 1])
    share1, share2 = spread_eight(ONE - beta1), spread_eight(ONE - beta2)
    table = U(kind) * U(TABLE_ROWS)
    for half in range(U(0), U(raw.shape[1]), U(EIGHT)):
        value = load_row(decoded, i, half)
        slope = load_row(tables, table + SLOPE_0, half) + value * (
            load_row(tables, table + SLOPE_1, half) + value * load_row(tables, table + SLOPE_2, half)
        )
        by_raw = load_row(gradient, i, half) * slope
        old = load_row(mean, i, half)
        moved = old + share1 * (by_raw - old)
        store_row(mean, i, half, moved)
        old = load_row(square, i, half)
        squared = old + share2 * (by_raw * by_raw - old)
        squared = greatest(squared, spread_eight(ZERO))
        store_row(square, i, half, squared)
        root = exact_root(exact_quotient(squared, second_weight)) + spread_eight(epsilon)
        step = exact_quotient(moved, root * first_weight)
        value = load_row(raw, i, half) - load_row(tables, table + RATE, half) * spread_eight(scale) * step
        value = least(greatest(value, load_row(tables, table + LOW, half)), load_row(tables, table + HIGH, half))
        store_row(raw, i, half, value)
    limit(raw, i, kind, numbers[3], numbers[4])
    decode_row(i, kind, tables, raw, decoded)


@njit(inline="always")
def decode_row(i, kind, tables, raw, decoded):
    """Computes a row from its raw parameters."""
    table = U(kind) * U(TABLE_ROWS)
    one = spread_eight(ONE)
    for half in range(U(0), U(raw.shape[1]), U(EIGHT)):
        value = load_row(raw, i, half)
        small = decay(value)
        logistic = where_positive(value, one, small) / (one + small)
        exponential = where_positive(value, one / small, small)
        value = where_positive(load_row(tables, table + IS_LOGIT, half), logistic, value)
        value = where_positive(load_row(tables, table + IS_LOG, half), exponential, value)
        value = least(greatest(value, load_row(tables, table + LEAST, half)), load_row(tables, table + MOST, half))
        store_row(decoded, i, half, value)


@njit(inline="always")
def gradient_of_row(i, kind, rows, decoded, slots, results, backdrops, totals, gradient):
    """The gradient of a row from the sums of its entries, in slot order: the mean over the backdrops.

    Args:
        i: index of the row.
        kind: code of its primitive.
        rows: (N, W) float32, as in `shapes.layout`.
        decoded: (N, W) float32.
        slots: (N + 1,) int64.
        results: (B slots, W) float32.
        backdrops: B.
        totals: (N, W) float64, scratch.
        gradient: (N, W) float32, filled.

    Returns:
        Whether it is finite.
    """
    columns = U(totals.shape[1])
    for k in range(columns):
        totals[i, k] = 0.0
    for b in range(backdrops):
        before = U(results.shape[0] // backdrops * b)
        for slot in range(U(slots[i]), U(slots[i + U(1)])):
            for k in range(columns):
                totals[i, k] += results[before + slot, k]
    if columns > U(NARROW):
        chain_rule(decoded, kind, rows, i, totals[i])
    found, share = 0.0, 1.0 / backdrops
    for k in range(columns):
        value = totals[i, k] * share
        found += value
        gradient[i, k] = F(value)
    return math.isfinite(found)


@njit(inline="always")
def prepare_row(i, kind, edge, tiles_x, tiles_y, decoded, rows, spans):
    """The kernel's row, and the tile rectangle of its support."""
    if rows.shape[1] > NARROW:
        pack_row(decoded, kind, i, rows)
    span_of(rows, i, kind, edge, tiles_x, tiles_y, spans)


@compiled(error_model="numpy")
def move_rows(kinds, scale, gradient, numbers, tables, raw, mean, square, weights, decoded):
    """`move_row` of all rows; with a scale below 0 only `decode_row`."""
    for i in range(U(raw.shape[0])):
        if scale < ZERO:
            decode_row(i, kinds[i], tables, raw, decoded)
        else:
            move_row(i, kinds[i], gradient, scale, numbers, tables, raw, mean, square, weights, decoded)
