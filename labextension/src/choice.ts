/** Which models the panel shows, and in which order. Pure. */

import type { IModel } from './wire';

/** How many tokens a second a model writes, as a guess is said. */
export function speed(tokens: number | null | undefined): string {
  if (!tokens) {
    return '';
  }
  return tokens < 1 ? '<1' : `~${Math.round(tokens)}`;
}

/** Whether somebody who looks for a model for this machine wants to see it. */
export function suits(model: IModel): boolean {
  return (
    model.stored ||
    model.selected ||
    model.pulling ||
    model.damaged === true ||
    model.verdict === 'recommended' ||
    model.verdict === 'runs' ||
    model.verdict === undefined
  );
}

/** The best first: what is used, what is here, what is recommended, what is larger; last what is too large or slow. */
export function ordered(models: readonly IModel[]): IModel[] {
  const rank = (model: IModel): number =>
    [
      model.selected,
      model.stored,
      model.pulling,
      model.verdict === 'recommended',
      suits(model),
      true
    ].indexOf(true);
  return [...models].sort((a, b) => rank(a) - rank(b) || (b.size ?? 0) - (a.size ?? 0));
}
