/** How a text that is held to some beginnings goes on. Pure. */

/** Beginnings of a text, as tokens; none: it begins with what it likes. */
export type Ways = readonly (readonly number[])[];

/**
 * What is left of the ways behind tokens that are written: nothing of one that is complete. None once one was complete
 * before, or none agrees.
 */
export function waysBehind(ways: Ways, written: readonly number[]): Ways {
  const agreeing = ways.filter(way => written.every((token, at) => at >= way.length || way[at] === token));
  const wasComplete = agreeing.some(way => way.length < written.length);
  return wasComplete ? [] : agreeing.map(way => way.slice(written.length));
}
