/** How a text that is held to some beginnings goes on. Pure. */

/** Beginnings of a text, as tokens; none: it begins with what it likes. */
export type Ways = readonly (readonly number[])[];

/**
 * What is left of the ways behind tokens that are written: nothing of one that is complete. One that is shorter holds
 * nothing any more, but a longer one that agrees does: a text held to `_` and `__all__` does not stop at `__`.
 */
export function waysBehind(ways: Ways, written: readonly number[]): Ways {
  return ways
    .filter(way => written.every((token, at) => way[at] === token))
    .map(way => way.slice(written.length));
}
