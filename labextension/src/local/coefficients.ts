/* The gate's fits to models that run in a page, from jupyter_turbopilot/suggestion/coefficients.json; `make docs` writes it anew. */
import type { IFit } from './fit';

/*
[[[cog
import page_fits
print(page_fits.typescript())
]]] */
export const DEFAULT = 'qwen2.5-coder-0.5b';

export const FITS: Readonly<Record<string, Partial<IFit>>> = {
  'qwen2.5-coder-0.5b': {
    coefficients: {
      bias: -1.5346,
      sum: 0.8651,
      odds: 0.7683,
      'worst odds': -0.7461,
      worst: 0.413,
      first: -0.3038,
      last: 0.0664,
      tokens: -0.2864,
      length: 1.3303,
      whole: 1.1141,
      'whole sum': 0.1526,
      known: -0.1448,
      unknown: -0.2083,
      rest: 0,
      further: -3.2129,
      'empty line': -2.0735,
      'after dot': 0.0125,
      'in word': -0.0023,
      'in brackets': -0.0216,
      'after =': -0.2523,
      'in string': 0.3679,
      comment: 0.4602,
      again: 0.3721,
      'known sum': 0.3858
    },
    thresholds: {
      always: 0,
      eager: 0.05,
      balanced: 0.575,
      quiet: 0.775
    }
  },
  characters: {
    coefficients: {
      bias: 0.1971,
      sum: 2.1791,
      odds: -1.0047,
      'worst odds': 0.659,
      worst: -0.6917,
      first: 0.0978,
      last: 0.4282,
      tokens: 2.6908,
      length: -1.9118,
      whole: 0.299,
      'whole sum': 0.0861,
      known: -1.5982,
      unknown: -0.8992,
      rest: 0,
      further: -2.7758,
      'empty line': -2.0951,
      'after dot': 0.3126,
      'in word': 0.1017,
      'in brackets': -0.0708,
      'after =': -0.0523,
      'in string': 0.1253,
      comment: 0.2431,
      again: 2.5733,
      'known sum': -0.1742
    },
    thresholds: {
      always: 0,
      eager: 0.15,
      balanced: 0.4,
      quiet: 0.55
    }
  }
};
// [[[end]]]
