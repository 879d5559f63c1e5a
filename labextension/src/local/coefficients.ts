/* The gate's fits to models that run in a page, from jupyter_turbopilot/suggestion/coefficients.json; `make docs` writes it anew. */
import type { IFit } from './gate';

/*
[[[cog
import tables
print(tables.page_fits())
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
    },
    blank: {
      'empty line': {
        always: 0,
        eager: 0.05,
        balanced: 0.275,
        quiet: 0.45
      },
      'empty cell': {
        always: 0,
        eager: 0.575,
        balanced: 0.575,
        quiet: 0.775
      }
    }
  },
  characters: {
    coefficients: {
      bias: 0.3564,
      sum: 1.8038,
      odds: -0.9225,
      'worst odds': 0.7569,
      worst: -0.5818,
      first: 0.1251,
      last: 0.3833,
      tokens: 2.1751,
      length: -1.3896,
      whole: 0.532,
      'whole sum': 0.2487,
      known: -1.5017,
      unknown: -1.2718,
      rest: 0,
      further: -4.5548,
      'empty line': -1.0243,
      'after dot': 0.133,
      'in word': -0.0503,
      'in brackets': -0.5405,
      'after =': -0.0729,
      'in string': -0.1142,
      comment: -0.0833,
      again: 2.1977,
      'known sum': 0.0346
    },
    thresholds: {
      always: 0,
      eager: 0.325,
      balanced: 0.45,
      quiet: 0.625
    }
  }
};
// [[[end]]]
