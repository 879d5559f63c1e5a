/** Which engine completes: the Jupyter server's, or one in this page. */

import { NoServerError } from './trouble';

export const ENGINES = ['as the page has it', 'server', 'browser'] as const;

/** What the person wants. */
export type Wanted = (typeof ENGINES)[number];

/** Where completions are computed. */
export type Engine = 'server' | 'browser';

/** What a page says of itself. */
export interface IPageFacts {
  /** Whether the server that made this page has put our mark into its configuration. */
  readonly marked: boolean;
  /** Ask whether a Jupyter server answers at all. */
  hasServer(): Promise<boolean>;
}

/**
 * Choose once, at start. A Jupyter server without our extension is not replaced by a smaller model in silence:
 * there the person is told what is missing, and offered the browser.
 */
export async function chooseEngine(wanted: Wanted, page: IPageFacts): Promise<Engine> {
  if (wanted === 'browser') {
    return 'browser';
  }
  if (page.marked || (await page.hasServer())) {
    return 'server';
  }
  if (wanted === 'server') {
    throw new NoServerError();
  }
  return 'browser';
}
