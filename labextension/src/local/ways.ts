/** How a text that is held to some beginnings goes on. Pure. */

/** Beginnings of a text, as tokens; none: it begins with what it likes. */
export type Ways = readonly (readonly number[])[];

/** What is left of the ways behind tokens that are written; none once one of them is complete, or none agrees. */
export function waysBehind(ways: Ways, written: readonly number[]): Ways {
  const agreeing = ways.filter(way => written.every((token, at) => at >= way.length || way[at] === token));
  const left = agreeing.map(way => way.slice(written.length));
  return left.some(way => way.length === 0) ? [] : left;
}
