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
      bias: 0.264,
      sum: 1.7585,
      odds: -0.5236,
      'worst odds': 0.3021,
      worst: -0.3673,
      first: 0.0032,
      last: 0.3282,
      tokens: 2.378,
      length: -1.3372,
      whole: 0.3173,
      'whole sum': 0.1372,
      known: -1.9012,
      unknown: -1.599,
      rest: 0,
      further: -3.9133,
      'empty line': -1.1021,
      'after dot': 0.3389,
      'in word': 0.1033,
      'in brackets': -0.221,
      'after =': 0.199,
      'in string': -0.0389,
      comment: -0.2135,
      again: 2.0452,
      'known sum': -0.133
    },
    thresholds: {
      always: 0,
      eager: 0.175,
      balanced: 0.425,
      quiet: 0.575
    }
  }
};
// [[[end]]]
