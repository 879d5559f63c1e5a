/** Selection and order of the models in the panel. Pure. */

import type { IModel } from './wire';

/** Format an estimated speed in tokens per second. */
export function speed(tokens: number | null | undefined): string {
  if (!tokens) {
    return '';
  }
  return tokens < 1 ? '<1' : `~${Math.round(tokens)}`;
}

/** Return whether a model is suitable for this machine. */
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

/** Sort models: selected, stored, downloading, recommended, suitable, others; larger models first within a group. */
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
