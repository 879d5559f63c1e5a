/** The gate's fit to a model: coefficients and thresholds. Pure. */

import type { IRequest } from '../wire';
import { DEFAULT, FITS } from './coefficients';
import type { Features } from './features';

export type Eagerness = NonNullable<IRequest['eagerness']>;

/** Coefficients by feature, thresholds by eagerness. */
export interface IFit {
  coefficients: Readonly<Features>;
  thresholds: Readonly<Record<Eagerness, number>>;
}

/** The fit to a model; what it lacks is the default model's. */
export function fitFor(model: string): IFit {
  return { ...(FITS[DEFAULT] as IFit), ...FITS[model] };
}
