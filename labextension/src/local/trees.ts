/** Gradient-boosted decision trees: the score of a suggestion prefix from its features. Pure. */

import { type Features, sumOf } from './features';

/** A leaf's log-odds, or a feature, a limit, the tree for values up to the limit, and the tree for greater values. */
export type Tree = number | readonly [feature: number, limit: number, low: Tree, high: Tree];

/** Decision trees. The sum of their values is the log-odds that a prefix is correct. */
export interface ITrees {
  /** the names; the trees contain their indexes */
  features: readonly string[];
  trees: readonly Tree[];
}

/** Return the estimated probability that a prefix with these features is correct. */
export function score(values: Features, { features, trees }: ITrees): number {
  const row = features.map(name => values[name]);
  const leaf = (node: Tree): number => {
    while (typeof node !== 'number') {
      const [feature, limit, low, high] = node;
      node = row[feature] <= limit ? low : high;
    }
    return node;
  };
  return sigmoid(sumOf(trees.map(leaf)));
}

/** A score between 0 and 1. */
function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-Math.max(-60, Math.min(60, value))));
}
